"""TFLite models: tiny ones written as flatbuffers by the schema that LiteRT itself ships, and the tutorial's LSTM."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flatbuffers  # type: ignore[import-untyped]  # it has none
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]  # it has none
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

from penstock.proto import Kind, Message, ModelInputError, ModelLoadError, Payload
from penstock.proto.inference import Tensor
from penstock.serving.models import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .conftest import Start

LSTM = Path(__file__).parents[4] / "shared" / "data" / "LSTM_single_series.tflite"
needs_lstm = pytest.mark.skipif(not LSTM.exists(), reason="../shared/data/LSTM_single_series.tflite is not here")


def doubler(*, rows: int = -1, signature: str = "", dtype: str = "FLOAT32") -> bytes:
    """A model of two columns that adds each value to itself.

    Args:
        rows: that it declares; -1 is any number.
        signature: name of its one signature, which calls them ``values`` and ``doubled``; empty for none.
        dtype: of its elements, as TFLite spells it.
    """
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    model.operatorCodes = [code]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(name, [abs(rows), 2], [rows, 2], dtype) for name in ("in:0", "out:0")]
    add = schema.OperatorT()
    add.opcodeIndex, add.inputs, add.outputs = 0, [0, 0], [1]
    add.builtinOptionsType, add.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    graph.inputs, graph.outputs, graph.operators = [0], [1], [add]
    model.subgraphs = [graph]
    if signature:
        model.signatureDefs = [_signature(signature)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(name: str, shape: Sequence[int], declared: Sequence[int], dtype: str) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.shapeSignature, tensor.buffer = name, list(shape), list(declared), 0
    tensor.type = getattr(schema.TensorType, dtype)
    return tensor


def _signature(key: str) -> Any:
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = key, 0
    signature.inputs, signature.outputs = [schema.TensorMapT()], [schema.TensorMapT()]
    signature.inputs[0].name, signature.inputs[0].tensorIndex = "values", 0
    signature.outputs[0].name, signature.outputs[0].tensorIndex = "doubled", 1
    return signature


def written(folder: Path, **what: Any) -> Path:
    path = folder / "doubler.tflite"
    path.write_bytes(doubler(**what))
    return path


def message(array: Any) -> Message:
    return Message(Payload(Kind.NDARRAY, np.asarray(array)))


async def answered(service: Any, array: Any) -> Any:
    reply = await service.predict(message(array))
    return reply.payload.array


@pytest.mark.parametrize("rows", [-1, 1])
async def test_any_number_of_rows_is_answered(rows: int, tmp_path: Path, start: Start) -> None:
    service = await start(written(tmp_path, rows=rows))
    assert service.model.inputs == (TensorSpec("in:0", "FP32", (-1, 2)),)
    for count in (1, 5, 2, 1, 300):
        asked = np.arange(count * 2).reshape(count, 2)
        assert (await answered(service, asked)).tolist() == (2.0 * asked).tolist()
    assert (await answered(service, np.empty((0, 2)))).shape == (0, 2)


async def test_other_numbers_of_rows_than_it_declares_are_refused(tmp_path: Path, start: Start) -> None:
    service = await start(written(tmp_path, rows=3))
    assert (await answered(service, [[1, 2]] * 3)).tolist() == [[2.0, 4.0]] * 3
    with pytest.raises(ModelInputError, match=r"shape \[3, 2\].*\[1, 2\] came"):
        await service.predict(message([[1, 2]]))


async def test_the_signature_names_inputs_and_outputs(tmp_path: Path, start: Start) -> None:
    service = await start(written(tmp_path, signature="serving_default"), version="7")
    assert service.model.metadata() == {
        "name": "doubler",
        "versions": ["7"],
        "platform": "tflite",
        "inputs": [{"messagetype": "tensor", "name": "values", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"messagetype": "tensor", "name": "doubled", "datatype": "FP32", "shape": [-1, 2]}],
        "custom": {},
    }
    work = service.model.infer([Tensor("values", np.array([[1.5, 2]], np.float32))])
    (answer,) = service.model.run([work])
    assert [(one.name, one.array.tolist()) for one in service.model.tensors(answer)] == [("doubled", [[3.0, 4.0]])]


async def test_whole_numbers_stay_whole(tmp_path: Path, start: Start) -> None:
    service = await start(written(tmp_path, dtype="INT32"))
    assert (await answered(service, [[1, 2]])).dtype == np.int32
    with pytest.raises(ModelInputError, match=r"takes whole numbers \(int32\), and 1.5 is none"):
        await service.predict(message([[1.5, 2]]))


@pytest.mark.parametrize("wrong", [[1.0, 2.0], [[1.0, 2.0, 3.0]], [[[1.0, 2.0]]]])
async def test_another_shape_is_refused(wrong: Any, tmp_path: Path, start: Start) -> None:
    service = await start(written(tmp_path))
    with pytest.raises(ModelInputError, match="input 'in:0' takes"):
        await service.predict(message(wrong))


@pytest.mark.parametrize("content", [b"", b"no model", b"\x1c\0\0\0TFL3" + b"\xff" * 64])
async def test_what_is_no_model_is_told(content: bytes, tmp_path: Path, start: Start) -> None:
    path = tmp_path / "bad.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelLoadError, match=r"bad\.tflite is no TFLite model that the interpreter can load: \S"):
        await start(path)


async def test_elements_without_a_form_on_the_wire_are_told(tmp_path: Path, start: Start) -> None:
    with pytest.raises(ModelLoadError, match="'in:0' holds complex64"):
        await start(written(tmp_path, dtype="COMPLEX64"))


async def test_a_folder_with_one_is_a_model(tmp_path: Path, start: Start) -> None:
    written(tmp_path)
    service = await start(tmp_path)
    assert (await answered(service, [[1, 2]])).tolist() == [[2.0, 4.0]]


def test_without_its_package_it_is_told_what_to_install(tmp_path: Path) -> None:
    program = """
import sys; sys.modules["ai_edge_litert"] = None
import asyncio
from pathlib import Path
from penstock.proto import SetupError
from penstock.serving import Service, Settings
try:
    asyncio.run(Service.start(Settings(model=Path(sys.argv[1]))))
except SetupError as error:
    print(error.code, error)
"""
    command = [sys.executable, "-c", program, str(written(tmp_path))]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert told.startswith("NOT_INSTALLED TFLite models need")
    assert "penstock[tflite]" in told


@needs_lstm
async def test_the_lstm_of_the_tutorial_answers_rows_that_it_cannot_run_together(start: Start) -> None:
    service = await start(LSTM)
    zeros = await answered(service, np.zeros((1, 6, 1)))
    assert zeros.reshape(-1).round(4).tolist() == pytest.approx(
        [0.0179, 0.0233, 0.0243, 0.0299, 0.0338, 0.0310], abs=1e-6
    )
    asked = np.random.default_rng(5).normal(size=(40, 6, 1)).astype(np.float32)
    by_hand = Interpreter(str(LSTM))
    by_hand.allocate_tensors()
    expected = []
    for row in asked:
        by_hand.set_tensor(by_hand.get_input_details()[0]["index"], row[None])
        by_hand.invoke()
        expected.append(by_hand.get_tensor(by_hand.get_output_details()[0]["index"])[0])
    assert (await answered(service, asked)).tolist() == np.array(expected).tolist()
    with pytest.raises(ModelInputError, match=r"takes 3 dimensions.*2 dimensions came: \[1, 6\]"):
        await service.predict(message(np.zeros((1, 6))))
