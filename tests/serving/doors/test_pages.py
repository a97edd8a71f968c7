"""The OpenAPI document and the page that shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..conftest import Served


@pytest.fixture(scope="module")
def document(named_http: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = named_http.get("/seldon.json").json()
    return found


def test_every_path_of_the_document_is_served(named_http: httpx.Client, document: dict[str, Any]) -> None:
    assert len(document["paths"]) > 25
    for path, methods in document["paths"].items():
        real = path.replace("{name}", "named").replace("{version}", "3").replace("{namespace}", "any")
        allowed = named_http.options(real).headers["allow"].split(", ")
        assert {method.upper() for method in methods} | {"OPTIONS"} == set(allowed)
        if "get" in methods and "requestBody" not in methods.get("post", {}):
            assert named_http.get(real).status_code in {200, 308}, path


def test_every_reference_is_resolved_and_every_id_is_unique(named_http: httpx.Client, document: dict[str, Any]) -> None:
    text = named_http.get("/seldon.json").text
    for name in re.findall(r'"#/components/schemas/(\w+)"', text):
        assert name in document["components"]["schemas"]
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


IRIS = Path(__file__).parents[4] / "shared" / "data" / "iris.onnx"


@pytest.mark.parametrize(
    "model", ["named", pytest.param("iris", marks=pytest.mark.skipif(not IRIS.exists(), reason="no shared data"))]
)
def test_the_examples_work(serve: Callable[..., Served], named_tensors: Path, model: str) -> None:
    service = serve(named_tensors, name="named", version="3") if model == "named" else serve(IRIS)
    tried = []
    with httpx.Client(base_url=service.http, timeout=60) as http:
        document = http.get("/seldon.json").json()
        for path in ("/api/v1.0/predictions", "/v2/models/{name}/infer"):
            media = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
            for kind, example in media["examples"].items():
                answer = http.post(path.replace("{name}", model), json=example["value"])
                assert answer.status_code == 200, f"{kind}: {answer.text}"
                tried.append(kind)
    assert tried == (["jsonData", "infer"] if model == "named" else ["ndarray", "tensor", "infer"])


def test_the_page_loads_nothing_from_elsewhere(named_http: httpx.Client) -> None:
    answer = named_http.get("/api/v1.0/doc/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", answer.text)
    redirect = named_http.get("/api/v1.0/doc")
    assert (redirect.status_code, redirect.headers["location"]) == (308, "doc/")
