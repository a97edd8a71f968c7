"""The bytes of our messages mean the same to seldon-core's own protobuf code, for each line of the conversion matrix.

Its protobuf library is five years older than ours and knows nothing of how we write arrays.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from google.protobuf import json_format

from penstock.proto import Kind, Message, Meta, Payload, PayloadError, convert, decode, read_message, write_message
from penstock.proto import prediction_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

    Script = Callable[..., Any]

pytestmark = [pytest.mark.peers, pytest.mark.xdist_group("peers")]

VECTORS = json.loads(files("penstock.proto").joinpath("vectors.json").read_text())
META = Meta("7", {"garden": "north", "height": 1.5}, {"splitter": -1}, {"iris": "iris:1"})


def _payloads() -> list[Payload]:
    """Each payload of the matrix, and each that can be made of it."""
    made = []
    for vector in VECTORS:
        form = vector.get("hex")
        source = decode(vector["kind"], bytes.fromhex(form) if form is not None else vector["content"].encode())
        for kind, expected in vector["to"].items():
            if "error" not in expected:
                made.append(convert(source, Kind(kind)))
    return made


def _messages() -> list[bytes]:
    written = []
    for payload in _payloads():
        try:
            written.append(
                write_message(Message(payload.renamed(("a", "b")) if payload.kind.is_array else payload, META))
            )
        except PayloadError:
            continue  # what protobuf's own number type cannot hold, refused by name
    return written


@pytest.fixture(scope="module")
def messages() -> list[bytes]:
    return _messages()


@pytest.fixture(scope="module")
def theirs(seldon_protobuf: Script, messages: list[bytes]) -> list[dict[str, Any]]:
    return seldon_protobuf([data.hex() for data in messages])  # type: ignore[no-any-return]


def test_they_read_what_we_write(messages: list[bytes], theirs: list[dict[str, Any]]) -> None:
    compared = 0
    for data, read in zip(messages, theirs, strict=True):
        form = _json_form(data)
        if form is not None:
            assert read["json"] == form
            compared += 1
    assert compared > 100


def test_we_read_what_they_write(messages: list[bytes], theirs: list[dict[str, Any]]) -> None:
    for data, written in zip(messages, theirs, strict=True):
        mine, read = read_message(data), read_message(bytes.fromhex(written["bytes"]))
        assert read.meta == mine.meta == META
        assert mine.payload is not None
        assert read.payload is not None
        assert (read.payload.kind, read.payload.names) == (mine.payload.kind, mine.payload.names)
        _assert_same(read.payload.value, mine.payload.value)


def _json_form(data: bytes) -> Any:
    """As our protobuf sees it; None with a NaN within a list, which its JSON form does not have."""
    try:
        return json_format.MessageToDict(pb.SeldonMessage.FromString(data))
    except json_format.SerializeToJsonError:
        return None


def _assert_same(read: Any, mine: Any) -> None:
    if not isinstance(mine, np.ndarray):
        assert read == mine
        return
    assert (read.dtype, read.shape) == (mine.dtype, mine.shape)
    np.testing.assert_array_equal(read, mine)
