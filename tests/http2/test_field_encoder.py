"""Header blocks that we write, read by hpack and by our own decoder."""

from __future__ import annotations

from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st

from penstock.http2.field_blocks import FieldDecoder, Fields
from penstock.http2.field_encoder import FieldEncoder

_NAMES = st.sampled_from([b":path", b":method", b"te", b"authorization", b"x-long"])
_VALUES = st.sampled_from([b"POST", b"", b"v", b"w" * 126, b"w" * 127, b"w" * 300, b"w" * 4064, b"w" * 5000])
_LISTS = st.lists(st.tuples(_NAMES, _VALUES), max_size=6).map(tuple)
_SIZES = st.sampled_from([0, 40, 4096, 65_536])


@given(steps=st.lists(_LISTS | _SIZES, max_size=15))
def test_what_is_written_can_be_read(steps: list[Fields | int]) -> None:
    ours, theirs, encoder = (
        FieldDecoder(4096, 1 << 20, lambda fields: fields),
        Decoder(max_header_list_size=1 << 20),
        FieldEncoder(),
    )
    for step in steps:
        if isinstance(step, int):
            encoder.resize(step)
            theirs.max_allowed_table_size = max(step, 4096)
            continue
        block = encoder.encode(step)
        assert ours.decode(block) == step
        assert tuple((bytes(name), bytes(value)) for name, value in theirs.decode(block, raw=True)) == step


def test_what_comes_again_is_named() -> None:
    encoder = FieldEncoder()
    fields = ((b":method", b"POST"), (b":path", b"/seldon.protos.Seldon/Predict"), (b"te", b"trailers"))
    assert len(encoder.encode(fields)) > 40
    assert len(encoder.encode(fields)) == 3


def test_a_table_that_is_full_begins_anew() -> None:
    encoder, decoder = FieldEncoder(), FieldDecoder(4096, 1 << 20, lambda fields: fields)
    common = ((b":path", b"/a"), (b"te", b"trailers"))
    for number in range(1000):
        fields = (*common, (b"authorization", b"Bearer %d" % number * 20))
        assert decoder.decode(encoder.encode(fields)) == fields
        assert decoder.decode(again := encoder.encode(fields)) == fields
        assert len(again) == 3


def test_a_peer_without_a_table() -> None:
    encoder, decoder = FieldEncoder(), FieldDecoder(4096, 1 << 20, lambda fields: fields)
    encoder.resize(0)
    for _ in range(3):
        assert decoder.decode(encoder.encode(((b"te", b"trailers"),))) == ((b"te", b"trailers"),)
