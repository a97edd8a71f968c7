from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
from onnx import TensorProto, helper, save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ..conftest import Served


@pytest.fixture(scope="session")
def named_tensors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX model of several inputs and outputs: y = 2 a, n = b, t = s."""
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["a", "a"], ["y"]),
            helper.make_node("Identity", ["b"], ["n"]),
            helper.make_node("Identity", ["s"], ["t"]),
        ],
        "named",
        [
            helper.make_tensor_value_info("a", TensorProto.FLOAT, ["rows", 2]),
            helper.make_tensor_value_info("b", TensorProto.INT64, ["rows", 1]),
            helper.make_tensor_value_info("s", TensorProto.STRING, ["rows", 1]),
        ],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 2]),
            helper.make_tensor_value_info("n", TensorProto.INT64, ["rows", 1]),
            helper.make_tensor_value_info("t", TensorProto.STRING, ["rows", 1]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path_factory.mktemp("named") / "named.onnx"
    save(model, path)
    return path


@pytest.fixture(scope="session")
def units(serve: Callable[..., Served]) -> Served:
    return serve("units")


@pytest.fixture(scope="session")
def named(serve: Callable[..., Served], named_tensors: Path) -> Served:
    return serve(named_tensors, name="named", version="3")


@pytest.fixture(scope="session")
def http(units: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=units.http, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def channel(units: Served) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(units.grpc) as channel:
        yield channel


@pytest.fixture(scope="session")
def named_http(named: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=named.http, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def named_channel(named: Served) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(named.grpc) as channel:
        yield channel
