from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from penstock.proto import (
    ConversionError,
    Kind,
    Message,
    ModelInputError,
    ModelLoadError,
    Payload,
    PayloadError,
    convert,
    decode,
)
from penstock.proto.inference import Tensor
from penstock.serving.models import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Start

IRIS = Path(__file__).parents[4] / "shared" / "data" / "iris.onnx"
needs_iris = pytest.mark.skipif(not IRIS.exists(), reason="the shared iris.onnx is not here")


def message(value: Any, kind: Kind = Kind.NDARRAY, names: tuple[str, ...] = ()) -> Message:
    if kind.is_array and not isinstance(value, np.ndarray):
        value = np.array(value)
    return Message(Payload(kind, value, names))


@pytest.fixture
def classifier(tmp_path: Path) -> Callable[..., Path]:
    """A scikit-learn model, exported as its users export it: label and probabilities as maps."""

    def fit(labels: list[Any]) -> Path:
        from skl2onnx import to_onnx
        from sklearn.linear_model import LogisticRegression

        rows = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [2, 2], [2, 3]], np.float32)
        model = LogisticRegression().fit(rows, np.array(labels))
        path = tmp_path / "classifier.onnx"
        path.write_bytes(to_onnx(model, rows[:1], target_opset={"": 17, "ai.onnx.ml": 3}).SerializeToString())
        return path

    return fit


CONTENT = {
    Kind.NDARRAY: b"[[2,5,1,4]]",
    Kind.TENSOR: b'{"shape":[1,4],"values":[2,5,1,4]}',
    Kind.TFTENSOR: b'{"dtype":"DT_FLOAT","tensorShape":{"dim":[{"size":"1"},{"size":"4"}]},"floatVal":[2,5,1,4]}',
    Kind.STR_DATA: b"[[2,5,1,4]]",
    Kind.BIN_DATA: b"[[2,5,1,4]]",
    Kind.JSON_DATA: b"[[2,5,1,4]]",
}


@needs_iris
@pytest.mark.parametrize("kind", list(Kind))
async def test_iris_answers_in_each_kind(kind: Kind, start: Start) -> None:
    service = await start(IRIS)
    reply = (await service.predict(Message(decode(kind, CONTENT[kind])))).payload
    assert reply is not None
    assert reply.kind is kind
    if kind is Kind.JSON_DATA:
        assert reply.value["output_label"] == [1]
        probabilities = reply.value["output_probability"][0]
    else:
        label, *probabilities = convert(reply, Kind.NDARRAY).value[0]
        assert label == 1
    np.testing.assert_allclose(probabilities, [0.39, 0.47, 0.14], atol=1e-5)


@needs_iris
async def test_iris_names_its_columns_and_tells_its_shapes(start: Start) -> None:
    service = await start(IRIS)
    reply = (await service.predict(message([[2, 5, 1, 4]]))).payload
    assert reply is not None
    classes = tuple(f"output_probability:{index}" for index in range(3))
    assert reply.names == ("output_label", *classes)
    assert service.model.inputs == (TensorSpec("float_input", "FP32", (-1, 4)),)
    assert service.model.outputs[1] == TensorSpec("output_probability", "FP32", (-1, 3))
    assert service.metadata()["inputs"][0]["shape"] == [-1, 4]


@needs_iris
async def test_no_rows_give_no_rows(start: Start) -> None:
    service = await start(IRIS)
    reply = (await service.predict(message(np.empty((0, 4)), Kind.TENSOR))).payload
    assert reply is not None
    assert reply.value.shape == (0, 4)


async def test_text_labels_beside_probabilities_stay_text_and_numbers(
    classifier: Callable[..., Path], start: Start
) -> None:
    service = await start(classifier(["cat", "cat", "dog", "dog", "owl", "owl"]))
    reply = (await service.predict(message([[0.0, 0.0], [2.0, 2.5]], Kind.TENSOR))).payload
    assert reply is not None
    assert reply.kind is Kind.NDARRAY
    assert reply.names == (
        "output_label",
        "output_probability:cat",
        "output_probability:dog",
        "output_probability:owl",
    )
    assert reply.value[:, 0].tolist() == ["cat", "owl"]
    assert all(isinstance(number, float) for number in reply.value[0, 1:])
    with pytest.raises(ConversionError, match="tensor"):
        await service.predict(message([[0.0, 0.0]]), output=Kind.TENSOR)


def relu(rows: int | str | None = "n") -> tuple[Any, ...]:
    return [helper.make_node("Relu", ["x"], ["y"])], [("x", "FLOAT", [rows, 3])], [("y", "FLOAT", [rows, 3])]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([1.0, 2.0, 3.0], "takes 2 dimensions"),
        ([[1.0, 2.0]], r"shape \[-1, 3\].* and \[1, 2\] came"),
        ([[[1.0, 2.0, 3.0]]], "and 3 dimensions came"),
        (np.array([[1, "a", 2]], object), r"at \[0, 1\] there is 'a'"),
        (np.array([[1, None, 2]], object), "there is null"),
        (np.array([[1.0, 1e39, 2.0]]), "larger than any"),
    ],
)
async def test_what_does_not_fit_is_told_in_our_words(
    value: Any, told: str, onnx_model: Callable[..., Path], start: Start
) -> None:
    service = await start(onnx_model(*relu()))
    with pytest.raises(ModelInputError, match=told) as caught:
        await service.predict(message(value))
    assert "onnx" not in caught.value.message.lower()
    assert caught.value.http_status == 400


async def test_one_output_is_named_as_seldon_names_columns(onnx_model: Callable[..., Path], start: Start) -> None:
    service = await start(onnx_model(*relu()))
    reply = (await service.predict(message([[-1, 2, 3]]))).payload
    assert reply is not None
    assert reply.names == ("t:0", "t:1", "t:2")
    assert reply.value.tolist() == [[0, 2, 3]]


async def test_a_tftensor_reply_keeps_the_dtype_of_the_model(onnx_model: Callable[..., Path], start: Start) -> None:
    service = await start(onnx_model(*relu()))
    reply = (await service.predict(message(np.array([[-1, 2, 3]], np.float32), Kind.TFTENSOR))).payload
    assert reply is not None
    assert reply.value.dtype == np.float32


async def test_the_caller_chooses_the_kind_of_the_reply(onnx_model: Callable[..., Path], start: Start) -> None:
    service = await start(onnx_model(*relu()))
    reply = (await service.predict(message([[-1, 2, 3]]), output=Kind.JSON_DATA)).payload
    assert reply is not None
    assert (reply.kind, reply.value) == (Kind.JSON_DATA, {"y": [[0.0, 2.0, 3.0]]})


@pytest.mark.parametrize(
    ("dtype", "value", "told"),
    [
        ("INT64", [[1.0, 2.0]], None),
        ("INT64", [[1.5, 2.0]], "1.5 is none"),
        ("INT64", [[float("nan"), 2.0]], "nan is none"),
        ("INT64", [[2.0**63, 2.0]], "outside"),
        ("INT32", [[1, 2**31]], "from -2147483648 to 2147483647, and 2147483648 is outside"),
        ("UINT8", [[-1, 2]], "-1 is outside"),
        ("BOOL", [[0, 1]], None),
        ("BOOL", [[0, 2]], "2 is outside"),
        ("DOUBLE", [[True, False]], None),
        ("FLOAT16", [[1, 70000]], "larger than any"),
        ("STRING", np.array([["a", "b"]], object), None),
        ("STRING", np.array([[b"a", b"b"]], object), None),
        ("STRING", [[1, 2]], "takes text, and at .* there is 1"),
        ("STRING", np.array([[b"\xff", b"b"]], object), "not UTF-8"),
    ],
)
async def test_each_dtype_takes_what_it_can_hold(
    dtype: str, value: Any, told: str | None, onnx_model: Callable[..., Path], start: Start
) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    service = await start(onnx_model([node], [("x", dtype, ["n", 2])], [("y", dtype, ["n", 2])]))
    if told is not None:
        with pytest.raises(ModelInputError, match=told):
            await service.predict(message(value))
        return
    reply = (await service.predict(message(value))).payload
    assert reply is not None
    expected = [[x.decode() if isinstance(x, bytes) else x for x in row] for row in np.array(value).tolist()]
    assert reply.value.tolist() == expected


def two_inputs() -> tuple[Any, ...]:
    nodes = [
        helper.make_node("Concat", ["age", "size"], ["both"], axis=1),
        helper.make_node("Identity", ["city"], ["c"]),
    ]
    inputs = [("age", "FLOAT", ["n", 1]), ("city", "STRING", ["n", 1]), ("size", "FLOAT", ["n", 2])]
    return nodes, inputs, [("both", "FLOAT", ["n", 3]), ("c", "STRING", ["n", 1])]


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ([30, "Graz", 1.5, 2.5], ()),
        (["Graz", 1.5, 2.5, 30], ("city", "size", "size", "age")),
    ],
)
async def test_columns_go_to_inputs_by_name_or_by_width(
    columns: list[Any], names: tuple[str, ...], onnx_model: Callable[..., Path], start: Start
) -> None:
    service = await start(onnx_model(*two_inputs()))
    reply = (await service.predict(message(np.array([columns], object), names=names))).payload
    assert reply is not None
    assert reply.value.tolist() == [[30.0, 1.5, 2.5, "Graz"]]
    assert reply.names == ("both:0", "both:1", "both:2", "c")


@pytest.mark.parametrize(
    ("columns", "names", "told"),
    [
        ([30, "Graz", 1.5], (), r"takes 4 columns, age \(1\), city \(1\), size \(2\), and 3 came"),
        ([30, "Graz", 1.5, 2.5], ("age", "city", "size", "weight"), "no input for the column 'weight'"),
        ([30, "Graz"], ("age", "city"), "no column is named 'size'"),
        ([30, "Graz"], ("age",), "1 names for 2 columns"),
    ],
)
async def test_columns_that_cannot_be_shared_out_are_told(
    columns: list[Any], names: tuple[str, ...], told: str, onnx_model: Callable[..., Path], start: Start
) -> None:
    service = await start(onnx_model(*two_inputs()))
    with pytest.raises(ModelInputError, match=told):
        await service.predict(message(np.array([columns], object), names=names))


async def test_json_names_the_inputs(onnx_model: Callable[..., Path], start: Start) -> None:
    service = await start(onnx_model(*two_inputs()))
    asked = {"age": [[30], [40]], "city": [["Graz"], ["Wien"]], "size": [[1, 2], [3, 4]]}
    reply = (await service.predict(message(asked, Kind.JSON_DATA))).payload
    assert reply is not None
    assert reply.value == {"both": [[30, 1, 2], [40, 3, 4]], "c": [["Graz"], ["Wien"]]}
    with pytest.raises(ModelInputError, match="nothing for input 'size'"):
        await service.predict(message({"age": [[30]], "city": [["Graz"]]}, Kind.JSON_DATA))
    with pytest.raises(ModelInputError, match="no input 'town'"):
        await service.predict(message({**asked, "town": 1}, Kind.JSON_DATA))


async def test_text_goes_as_it_is_to_a_model_of_text(onnx_model: Callable[..., Path], start: Start) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    service = await start(onnx_model([node], [("x", "STRING", [None])], [("y", "STRING", [None])]))
    reply = (await service.predict(message("[1, 2] hello", Kind.STR_DATA))).payload
    assert reply is not None
    assert reply.value == '["[1, 2] hello"]'


async def test_outputs_that_make_no_table_need_json(onnx_model: Callable[..., Path], start: Start) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0)]
    service = await start(onnx_model(nodes, [("x", "FLOAT", ["n", 2])], [("y", "FLOAT", ["n", 2]), ("s", "FLOAT", [])]))
    with pytest.raises(ConversionError, match="jsonData"):
        await service.predict(message([[1.0, 2.0]]))
    reply = (await service.predict(message([[1.0, 2.0]], Kind.TENSOR), output=Kind.JSON_DATA)).payload
    assert reply is not None
    assert reply.value == {"y": [[1, 2]], "s": 3}


async def test_an_integer_that_no_double_holds_is_not_rounded_in_a_table(
    onnx_model: Callable[..., Path], start: Start
) -> None:
    nodes = [helper.make_node("Identity", ["i"], ["j"]), helper.make_node("Identity", ["x"], ["y"])]
    inputs = [("i", "INT64", ["n"]), ("x", "FLOAT", ["n"])]
    service = await start(onnx_model(nodes, inputs, [("j", "INT64", ["n"]), ("y", "FLOAT", ["n"])]))
    reply = await service.predict(message({"i": [2**53 + 1], "x": [0.5]}, Kind.JSON_DATA), output=Kind.NDARRAY)
    assert reply.payload is not None
    assert reply.payload.value.tolist() == [[2**53 + 1, 0.5]]


async def test_tensors_by_name(onnx_model: Callable[..., Path], start: Start) -> None:
    service = await start(onnx_model(*two_inputs()))
    inputs = [
        Tensor("city", np.array([[b"Graz"]], object)),
        Tensor("size", np.array([[1, 2]], np.int64)),
        Tensor("age", np.array([[30]], np.float64)),
    ]
    outputs = await service.infer(inputs)
    assert [(one.name, one.array.tolist()) for one in outputs] == [("both", [[30, 1, 2]]), ("c", [["Graz"]])]
    assert outputs[0].array.dtype == np.float32
    (only,) = await service.infer(inputs, outputs=["c"])
    assert only.name == "c"
    with pytest.raises(ModelInputError, match="no output 'd'; it gives both, c"):
        await service.infer(inputs, outputs=["d"])
    with pytest.raises(ModelInputError, match="twice"):
        await service.infer([*inputs, inputs[0]])


async def test_a_failure_within_onnxruntime_is_not_shown(
    onnx_model: Callable[..., Path], start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """A table look-up past its end: legal for the declared shape, and only onnxruntime finds out."""
    table = numpy_helper.from_array(np.arange(3, dtype=np.float32), "table")
    node = helper.make_node("Gather", ["table", "x"], ["y"])
    service = await start(onnx_model([node], [("x", "INT64", ["n"])], [("y", "FLOAT", ["n"])], [table]))
    from penstock.proto import ModelFailure

    with pytest.raises(ModelFailure) as caught:
        await service.predict(message([99]))
    error_id = caught.value.message.rsplit(" ", 1)[1]
    assert "Gather" not in caught.value.message
    assert error_id in caplog.text
    assert "Gather" in caplog.text
    assert (await service.predict(message([2]))).payload is not None


async def test_a_message_without_payload_is_refused(onnx_model: Callable[..., Path], start: Start) -> None:
    service = await start(onnx_model(*relu()))
    with pytest.raises(PayloadError, match="no payload"):
        await service.predict(Message())


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path / "none.onnx", "there is nothing at"),
        (lambda path: _file(path / "bad.onnx", b"not a model"), "no ONNX model that onnxruntime can load"),
        (lambda path: _file(path / "model.txt", b""), "no model that is known"),
        (lambda path: path, "holds neither"),
    ],
)
async def test_what_is_no_model_says_what_would_be(
    make: Callable[[Path], Path], told: str, tmp_path: Path, start: Start
) -> None:
    with pytest.raises(ModelLoadError, match=told):
        await start(make(tmp_path))


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


async def test_a_folder_with_one_onnx_file_is_that_model(onnx_model: Callable[..., Path], start: Start) -> None:
    folder = onnx_model(*relu()).parent
    service = await start(folder, name="relu", version="7")
    assert (service.model.name, service.model.version) == ("relu", "7")
    assert service.metadata()["versions"] == ["7"]
