"""Every dtype through every array kind: bit-exact, or an error with a name."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from penstock.proto import (
    ConversionError,
    Kind,
    Message,
    Payload,
    PayloadError,
    convert,
    decode,
    encode,
    payload_of,
    read_json_message,
    read_message,
    tensor_pb2,
    write_json_message,
    write_message,
)
from penstock.proto.tensor_types import TYPES

PLAIN = [t for t in TYPES.values() if t.dtype.kind in "biuf" and t.dtype.isbuiltin == 1]
ARRAY_KINDS = [Kind.NDARRAY, Kind.TENSOR, Kind.TFTENSOR]
NAMED = {
    "NOT_NUMERIC", "NUMBER_NOT_EXACT", "EMPTY_SHAPE", "NO_DIMENSION", "MIXED_ELEMENTS", "AMBIGUOUS_TEXT", "BAD_TEXT",
    "UNKNOWN_DTYPE", "NOT_JSON",
}  # fmt: skip

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
number_arrays = st.sampled_from(PLAIN).flatmap(lambda t: hnp.arrays(t.dtype, shapes))
text_arrays = hnp.arrays(object, shapes, elements=st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
# Beside null, text and booleans JSON has only text for what is not finite, and that stays text (docs/codec.md).
finite = st.floats(allow_nan=False, allow_infinity=False)
mixed = st.none() | st.booleans() | st.integers() | finite | st.sampled_from(["NaN", "a", "", "Infinity"])
mixed_arrays = hnp.arrays(object, shapes, elements=mixed) | hnp.arrays(
    object, shapes, elements=st.integers() | st.floats()
)


def equal(left: object, right: object) -> bool:
    """Same numbers, NaN where NaN is, -0.0 apart from 0.0, booleans apart from numbers."""
    a, b = np.asarray(left), np.asarray(right)
    if a.shape != b.shape or not a.size:
        return a.shape == b.shape
    if object in (a.dtype, b.dtype):
        return all(_same(x, y) for x, y in zip(a.reshape(-1).tolist(), b.reshape(-1).tolist(), strict=True))
    if (a.dtype.kind == "b") != (b.dtype.kind == "b"):
        return False
    if "f" in (a.dtype.kind, b.dtype.kind) and a.dtype.kind + b.dtype.kind != "ff":
        a, b = a.astype(object), b.astype(object)
        return all(x == y for x, y in zip(a.reshape(-1), b.reshape(-1), strict=True))
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f")) and (
        a.dtype.kind != "f" or bool((np.signbit(a) == np.signbit(b))[~np.isnan(a)].all())
    )


def _same(x: object, y: object) -> bool:
    if isinstance(x, float) and isinstance(y, float) and x != x:
        return y != y
    x, y = (z.encode() if isinstance(z, str) else z for z in (x, y))
    return isinstance(x, bool) == isinstance(y, bool) and x == y


@given(number_arrays | text_arrays | mixed_arrays, st.sampled_from(ARRAY_KINDS), st.sampled_from(list(Kind)))
def test_there_and_back(array: np.ndarray, start: Kind, through: Kind) -> None:
    try:
        payload = payload_of(array, start)
        other = convert(payload, through)
        back = convert(decode(through, encode(other)), start)
    except ConversionError as error:
        assert error.code in NAMED
        return
    assert equal(back.value, payload.value)
    assert equal(payload.value, array)


@given(number_arrays | text_arrays | mixed_arrays, st.sampled_from(ARRAY_KINDS))
def test_through_both_message_forms(array: np.ndarray, kind: Kind) -> None:
    for write, read in ((write_message, read_message), (write_json_message, read_json_message)):
        try:
            payload = payload_of(array, kind)
            came = read(write(Message(payload))).payload
        except ConversionError as error:
            assert error.code in NAMED
            continue
        assert came is not None
        assert equal(came.value, payload.value)


@pytest.mark.parametrize("name", TYPES)
def test_each_tensorflow_dtype_survives_in_bytes_and_in_json(name: str) -> None:
    entry = TYPES[name]
    if entry.dtype == object:
        array = np.array([[b"a", b"\xff"]], object)
    else:
        raw = np.arange(64, dtype=np.uint8)
        raw = raw % 2 if "INT2" in name or name == "DT_BOOL" else raw % 8 if "INT4" in name else raw
        array = raw.view(entry.dtype).reshape(2, -1)
    payload = Payload(Kind.TFTENSOR, array)
    for came in (decode("tftensor", encode(payload)), convert(convert(payload, "strData"), "tftensor")):
        assert came.array.dtype == entry.dtype
        assert (
            came.array.tolist() == array.tolist() if entry.dtype == object else came.array.tobytes() == array.tobytes()
        )


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_all_65536_patterns_survive(dtype: type[np.generic]) -> None:
    array = np.arange(1 << 16, dtype=np.uint16).view(dtype).reshape(256, 256)
    payload = Payload(Kind.TFTENSOR, array)
    data = write_message(Message(payload))
    assert read_message(data).payload.array.tobytes() == array.tobytes()  # type: ignore[union-attr]
    assert read_json_message(write_json_message(Message(payload))).payload.array.tobytes() == array.tobytes()  # type: ignore[union-attr]
    listed = tensor_pb2.TensorProto(
        dtype=tensor_pb2.DataType.Name(TYPES["DT_HALF" if dtype is np.float16 else "DT_BFLOAT16"].number),
        tensor_shape={"dim": [{"size": 1 << 16}]},
        half_val=range(1 << 16),
    )
    assert decode("tftensor", listed.SerializeToString()).array.tobytes() == array.tobytes()
    wide = convert(payload, "tensor").array
    with np.errstate(invalid="ignore"):
        narrow = wide.astype(dtype)
        nans = np.isnan(array.astype(np.float32))
    finite = ~np.isnan(wide)
    assert (narrow.view(np.uint16)[finite] == array.view(np.uint16)[finite]).all()
    assert (np.isnan(wide) == nans).all()


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ('{"shape":[3],"values":[1,2]}', "TENSOR_SHAPE_MISMATCH"),
        ('{"shape":[1],"values":[1,2]}', "TENSOR_SHAPE_MISMATCH"),
        ('{"shape":[-1,-2],"values":[1,2]}', "NEGATIVE_DIMENSION"),
        ('{"shape":[4294967296,4294967296],"values":[]}', "TOO_MANY_ELEMENTS"),
        ('{"shape":[2.0],"values":[1,2]}', "BAD_TENSOR"),
        ('{"shape":[2],"values":[1,null]}', "NOT_NUMERIC"),
        ('{"shape":[2],"values":[1,true]}', "NOT_NUMERIC"),
        ('{"shape":[1],"values":[1e999]}', "INVALID_JSON"),
        ('{"shape":[1],"values":[NaN]}', "INVALID_JSON"),
        ('{"shape":[1],"values":[1],"more":1}', "BAD_TENSOR"),
        ("[]", "BAD_TENSOR"),
    ],
)
def test_bad_tensors_are_named(form: str, code: str) -> None:
    with pytest.raises(PayloadError) as caught:
        decode("tensor", form.encode())
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ('{"dtype":"DT_NONE"}', "UNKNOWN_DTYPE"),
        ('{"dtype":"DT_RESOURCE"}', "UNKNOWN_DTYPE"),
        ('{"dtype":20}', "UNKNOWN_DTYPE"),
        ('{"dtype":"DT_INT8","tensorShape":{"dim":[{"size":"1"}]},"intVal":[300]}', "VALUE_OUT_OF_RANGE"),
        ('{"dtype":"DT_INT32","tensorShape":{"dim":[{"size":"1"}]},"intVal":[1.5]}', "BAD_NUMBER"),
        ('{"dtype":"DT_INT32","tensorShape":{"dim":[{"size":"1"}]},"intVal":[4294967296]}', "VALUE_OUT_OF_RANGE"),
        ('{"dtype":"DT_INT32","tensorShape":{"dim":[{"size":"2"}]}}', "TENSOR_SHAPE_MISMATCH"),
        ('{"dtype":"DT_INT32","tensorShape":{"dim":[{"size":"-2"}]}}', "NEGATIVE_DIMENSION"),
        ('{"dtype":"DT_INT32","tensorShape":{"unknownRank":true}}', "UNKNOWN_RANK"),
        ('{"dtype":"DT_FLOAT","tensorShape":{"dim":[{"size":"1"}]},"tensorContent":"AAA"}', "TENSOR_SHAPE_MISMATCH"),
        ('{"dtype":"DT_FLOAT","tensorShape":{"dim":[{"size":"1"}]},"tensorContent":"*"}', "BAD_BASE64"),
        ('{"dtype":"DT_COMPLEX64","tensorShape":{"dim":[{"size":"1"}]},"scomplexVal":[1]}', "BAD_TENSOR"),
    ],
)
def test_bad_tftensors_are_named(form: str, code: str) -> None:
    with pytest.raises(PayloadError) as caught:
        decode("tftensor", form.encode())
    assert caught.value.code == code


@pytest.mark.parametrize(
    "text", ["nJvbSBvdGhlciBhbmltYWx", "nJvbSBvdGhlciBhbmltYWw", "-_-_", "+/+/", " aGk= ", "", "aGk"]
)
def test_both_base64_alphabets_with_and_without_padding(text: str) -> None:
    assert isinstance(decode("binData", text.encode(), base64_text=True).value, bytes)


@pytest.mark.parametrize("text", ["a!G@k=", "***", "a", "aGk==", "+_", "aG=k", "caf\u00e9", "aGk=aGk="])
def test_anything_else_is_no_base64(text: str) -> None:
    with pytest.raises(PayloadError) as caught:
        decode("binData", text.encode(), base64_text=True)
    assert caught.value.code == "BAD_BASE64"
