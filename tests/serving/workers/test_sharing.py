"""One copy of a large model's weights for all workers."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from penstock.proto import Kind, Message, Payload
from penstock.serving import Service, Settings
from penstock.serving.workers.sharing import sharing

if TYPE_CHECKING:
    from pathlib import Path

WIDTH = 64  # a matrix of 16 KB: large enough to be put into a file of its own


def write(path: Path, factor: float) -> Path:
    """A model that multiplies by ``factor``, with a matrix."""
    matrix = numpy_helper.from_array(np.eye(WIDTH, dtype=np.float32) * np.float32(factor), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", WIDTH])],
        [matrix],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


async def answer(settings: Settings) -> float:
    """What the model makes of ones."""
    service = await Service.start(settings)
    try:
        reply = await service.predict(Message(Payload(Kind.TENSOR, np.ones((1, WIDTH)))))
    finally:
        await service.stop()
    assert reply.payload is not None
    return float(np.asarray(reply.payload.value)[0, 0])


async def test_the_first_writes_it_down_and_the_next_read_that(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    model = write(tmp_path / "model.onnx", 3.0)
    settings = Settings(model, shared=folder)
    assert await answer(settings) == 3.0
    assert (folder / "model.weights").stat().st_size >= WIDTH * WIDTH * 4
    assert await answer(settings) == 3.0
    write(folder / "model.onnx", 5.0)
    assert await answer(settings) == 5.0, "it is the one in the folder that is loaded"


async def test_a_model_that_cannot_be_written_down_is_served_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "shared"
    (folder / "model.weights").mkdir(parents=True)
    settings = Settings(write(tmp_path / "model.onnx", 3.0), shared=folder)
    assert await answer(settings) == 3.0
    assert "keep a copy of the weights each" in caplog.text
    assert not folder.exists(), "so that the next do not try again"
    assert await answer(settings) == 3.0


@pytest.mark.parametrize(("size", "shares"), [(1 << 20, False), (1 << 30, True)])
def test_only_a_large_model_is_worth_it(size: int, shares: bool, tmp_path: Path) -> None:
    with (tmp_path / "model.onnx").open("wb") as file:
        file.truncate(size)  # a hole: it takes no room
    for model in (tmp_path, tmp_path / "model.onnx"):
        with sharing(Settings(model)) as settings:
            folder = settings.shared
            assert (folder is not None) == shares
            assert folder is None or folder.is_dir()
        assert folder is None or not folder.exists()


def test_a_folder_that_is_gone_already_is_no_trouble(tmp_path: Path) -> None:
    with (tmp_path / "model.onnx").open("wb") as file:
        file.truncate(1 << 30)
    with sharing(Settings(tmp_path)) as settings:
        assert settings.shared is not None
        shutil.rmtree(settings.shared)
