"""The Open Inference Protocol over REST, with the binary tensor data extension."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from penstock.proto import PayloadError
from penstock.proto.jsontext import dumps, loads

from .exchange import Door, Response, Route
from .failures import info
from .served import check_model, model_index, model_metadata, server_metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.proto import PenstockError
    from penstock.proto.inference.tensors import InferRequest
    from penstock.serving.service import Service
    from penstock.serving.settings import Settings

    from .exchange import Request

_JSON_SIZE = b"inference-header-content-length"
_GET, _POST = ("GET",), ("POST",)


def inference_door(service: Service, settings: Settings) -> Door:
    """The routes below ``/v2``."""

    async def server(_request: Request) -> Response:
        return Response(dumps(server_metadata()))

    async def live(_request: Request) -> Response:
        return Response(dumps({"live": True}))

    async def ready(_request: Request) -> Response:
        return _readiness(service, {})

    async def model_ready(request: Request) -> Response:
        check_model(service, *request.arguments)
        return _readiness(service, {"name": service.model.name})

    async def model(request: Request) -> Response:
        check_model(service, *request.arguments)
        return Response(dumps(model_metadata(service)))

    async def index(request: Request) -> Response:
        # The body is optional: clients of Triton send none, or an empty object.
        asked = loads(request.body, settings.limits) if request.body else {}
        ready_only = isinstance(asked, dict) and asked.get("ready") is True
        return Response(dumps(model_index(service, ready_only=ready_only)))

    async def infer(request: Request) -> Response:
        check_model(service, *request.arguments)
        read, write = _codec()
        asked = read(request.body, _json_size(request), settings.limits)
        outputs = await service.infer(
            asked.inputs,
            outputs=[output.name for output in asked.outputs],
            request_id=asked.id,
            parameters=asked.parameters,
        )
        body, json_size = write(outputs, asked, model_name=service.model.name, model_version=service.model.version)
        if json_size is None:
            return Response(body)
        return Response(
            body,
            content_type=b"application/octet-stream",
            headers=((_JSON_SIZE, str(json_size).encode()),),
        )

    routes = [
        Route(_GET, "/v2", "server_metadata", server),
        Route(_GET, "/v2/health/live", "live", live),
        Route(_GET, "/v2/health/ready", "ready", ready),
        Route(_POST, "/v2/repository/index", "repository_index", index),
    ]
    for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        routes += [
            Route(_GET, path, "model_metadata", model),
            Route(_GET, f"{path}/ready", "model_ready", model_ready),
            Route(_POST, f"{path}/infer", "infer", infer),
        ]
    return Door("inference-rest", routes, failure)


@cache
def _codec() -> tuple[Callable[..., InferRequest], Callable[..., tuple[bytes, int | None]]]:
    # Imported when the first one is asked: a start should be short.
    from penstock.proto.inference import read_infer_json, write_infer_json

    return read_infer_json, write_infer_json


def _readiness(service: Service, about: dict[str, object]) -> Response:
    return Response(dumps({**about, "ready": service.ready}), 200 if service.ready else 503)


def _json_size(request: Request) -> int | None:
    header = request.headers.get(_JSON_SIZE)
    if header is None:
        return None
    if not header.isdigit() or len(header) > 12:
        raise PayloadError("Inference-Header-Content-Length is not a number of bytes", code="BAD_BINARY_SIZE")
    return int(header)


def failure(error: PenstockError, _request: Request) -> Response:
    """The protocol's error form."""
    return Response(dumps({"error": info(error)}), error.http_status)
