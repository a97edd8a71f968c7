"""The OpenAPI document: made from the very routes that are served, and what `openapi.json` says of each call."""

from __future__ import annotations

import re
from importlib.metadata import version
from importlib.resources import files
from math import prod
from typing import TYPE_CHECKING, Any

from penstock.proto.jsontext import loads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.serving.models import TensorSpec
    from penstock.serving.service import Service

    from .exchange import Door, Route

_VARIABLE = re.compile(r"{(\w+)}")
# An example of more numbers than this is no longer read by anyone.
_LONGEST_EXAMPLE = 64


def document(service: Service, doors: Iterable[Door]) -> dict[str, Any]:
    """OpenAPI 3.0 of all routes, with examples that fit the model."""
    parts = loads(files(__package__).joinpath("openapi.json").read_bytes())
    examples = _examples(service)
    paths: dict[str, Any] = {}
    for door in doors:
        failure = "InferFailure" if door.name.startswith("inference") else "Failure"
        for route in door.routes:
            operations = paths.setdefault(route.path, {})
            for method in route.methods:
                operations[method.lower()] = _operation(route, method, parts["operations"], failure, examples)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": service.model.name,
            "version": service.model.version or version("penstock"),
            "description": f"A model service of Penstock {version('penstock')}, platform {service.model.platform}.",
        },
        "paths": paths,
        "components": {"schemas": parts["schemas"]},
    }


def _operation(
    route: Route, method: str, operations: dict[str, Any], failure: str, examples: dict[str, Any]
) -> dict[str, Any]:
    about = operations[route.call]
    variables = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _VARIABLE.findall(route.path)
    ]
    name = re.sub(r"\W", "_", route.path.replace("}", ""))
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()}{name}",
        "x-call": route.call,
        "tags": about["tags"],
        "summary": about["summary"],
        "parameters": variables,
        "responses": {
            "200": {"description": "The answer.", **_content(about["response"], about.get("media"))},
            "default": {"description": "What went wrong.", **_content(failure)},
        },
    }
    if "description" in about:
        operation["description"] = about["description"]
    if "request" in about and method == "GET":
        operation["parameters"] = [*variables, _query(about["request"])]
    elif "request" in about:
        operation["requestBody"] = {"required": True, **_content(about["request"])}
        if about["request"] in examples:
            operation["requestBody"]["content"]["application/json"]["examples"] = examples[about["request"]]
    return operation


def _query(schema: str) -> dict[str, Any]:
    return {"name": "json", "in": "query", "required": True, **_content(schema)}


def _content(schema: str, media: str | None = None) -> dict[str, Any]:
    return {"content": {media or "application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def _examples(service: Service) -> dict[str, Any]:
    """One row of zeros, or of texts, for each input of the model."""
    inputs = [_example_input(tensor) for tensor in service.model.inputs]
    if not inputs or any(prod(example["shape"]) > _LONGEST_EXAMPLE for example in inputs):
        return {"SeldonMessage": {"strData": {"value": {"strData": "text"}}}}
    return {
        "SeldonMessage": {kind: {"value": message} for kind, message in _messages(inputs).items()},
        "InferRequest": {"infer": {"value": {"inputs": inputs}}},
    }


def _messages(inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """A request in each kind that suits the inputs: several of them are named in jsonData."""
    tables = {one["name"]: _nested(one["data"], one["shape"]) for one in inputs}
    if len(inputs) > 1:
        return {"jsonData": {"jsonData": tables}}
    (one,) = inputs
    messages: dict[str, Any] = {"ndarray": {"data": {"ndarray": tables[one["name"]]}}}
    if one["datatype"] not in {"BYTES", "BOOL"}:
        messages["tensor"] = {"data": {"tensor": {"shape": one["shape"], "values": one["data"]}}}
    return messages


def _example_input(tensor: TensorSpec) -> dict[str, Any]:
    shape = [size if size > 0 else 1 for size in tensor.shape]
    element = {"BYTES": "text", "BOOL": False}.get(tensor.datatype, 0)
    data = [element] * min(prod(shape), _LONGEST_EXAMPLE)
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": shape, "data": data}


def _nested(flat: list[Any], shape: list[int]) -> list[Any]:
    for size in reversed(shape[1:]):
        flat = [flat[at : at + size] for at in range(0, len(flat), size)]
    return flat
