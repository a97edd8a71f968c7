"""Real models, made on the spot, and real services around them in the test's own event loop."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from penstock.serving import Service, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    Start = Callable[..., Awaitable[Service]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """``await start(path, **settings)`` gives a service without doors; it is stopped after the test."""
    services: list[Service] = []

    async def begin(model: Path, **changes: Any) -> Service:
        service = await Service.start(Settings(model=model, **{"drain": 2.0, **changes}))
        services.append(service)
        return service

    yield begin
    for service in services:
        await service.stop()


@pytest.fixture
def onnx_model(tmp_path: Path) -> Callable[..., Path]:
    """``onnx_model(nodes, inputs, outputs)`` writes a model; inputs and outputs are (name, type, shape)."""
    from onnx import TensorProto, helper, save

    def value(name: str, kind: str, shape: Sequence[int | str | None]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.DataType.Value(kind), shape)

    def write(
        nodes: Sequence[Any],
        inputs: Sequence[tuple[str, str, Sequence[int | str | None]]],
        outputs: Sequence[tuple[str, str, Sequence[int | str | None]]],
        constants: Sequence[Any] = (),
    ) -> Path:
        graph = helper.make_graph(
            list(nodes), "g", [value(*one) for one in inputs], [value(*one) for one in outputs], list(constants)
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
        path = tmp_path / "model.onnx"
        save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
        return path

    return write


@pytest.fixture
def wrapper(tmp_path: Path) -> Callable[..., Path]:
    """``wrapper(source, **other_files)`` writes a folder with a Python model."""

    def write(source: str, folder: str = "model", **others: str) -> Path:
        path = tmp_path / folder
        path.mkdir()
        (path / "SeldonWrapper.py").write_text(dedent(source))
        for name, text in others.items():
            (path / f"{name}.py").write_text(dedent(text))
        return path

    return write
