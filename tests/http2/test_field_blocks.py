"""HPACK against hpack, the package: whatever one side writes the other reads."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st

from penstock.http2.failures import ConnectionFailed
from penstock.http2.field_blocks import Field, FieldDecoder, TooLarge
from penstock.http2.field_encoder import FieldEncoder

NAMES = st.sampled_from([b":path", b":status", b"content-type", b"x", b"y-long-name", b"cookie"])
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=60)), max_size=8)
BLOCKS = st.lists(st.tuples(FIELDS, st.booleans()), max_size=12)


@given(BLOCKS, st.lists(st.integers(0, 4096), max_size=12))
def test_reads_what_hpack_writes(blocks: list[tuple[list[Field], bool]], sizes: list[int]) -> None:
    encoder, decoder = Encoder(), FieldDecoder(4096, 1 << 20, list)
    for count, (fields, is_huffman) in enumerate(blocks):
        if count < len(sizes):
            encoder.header_table_size = sizes[count]
        assert decoder.decode(encoder.encode(fields, huffman=is_huffman)) == fields


@given(BLOCKS, st.lists(st.integers(0, 5000), max_size=12))
def test_hpack_reads_what_is_written(blocks: list[tuple[list[Field], bool]], sizes: list[int]) -> None:
    encoder, decoder = FieldEncoder(), Decoder()
    for count, (fields, is_resized) in enumerate(blocks):
        if is_resized and count < len(sizes):
            encoder.resize(sizes[count])
        for _ in range(2):
            assert decoder.decode(encoder.encode(tuple(fields)), raw=True) == fields


@given(st.binary(max_size=200))
def test_any_bytes_end_well(block: bytes) -> None:
    """Read, or refused; and what the two make of it is the same where both can read it."""
    decoder = FieldDecoder(4096, 1 << 20, list)
    try:
        fields = decoder.decode(block)
    except ConnectionFailed:
        return
    assert all(isinstance(name, bytes) and isinstance(value, bytes) for name, value in fields)


def test_the_same_block_is_read_once() -> None:
    made: list[object] = []

    def keep(fields: object) -> object:
        made.append(fields)
        return fields

    encoder, decoder = Encoder(), FieldDecoder(4096, 1 << 20, keep)
    blocks = [encoder.encode([(":path", "/"), ("x", "y")]) for _ in range(10)]
    assert len({decoder.decode(block) for block in blocks}) == 1
    assert len(made) == 1


def test_a_field_that_varies_is_kept_apart() -> None:
    made: list[object] = []

    def keep(fields: object) -> object:
        made.append(fields)
        return fields

    encoder, decoder = Encoder(), FieldDecoder(4096, 1 << 20, keep, b"time")
    for time in ("1", "22", "1", "1", ""):
        assert decoder.decode(encoder.encode([("x", "y"), ("time", time)])) == ((b"x", b"y"),)
        assert decoder.varied == time.encode()
    decoder.decode(encoder.encode([("x", "y")]))
    assert (decoder.varied, made) == (None, [((b"x", b"y"),)])


def test_variations_do_not_fill_the_memory() -> None:
    encoder, decoder = Encoder(), FieldDecoder(0, 1 << 14, tuple)
    encoder.header_table_size = 0
    for number in range(3000):
        decoder.decode(encoder.encode([(f"x-{number}", "v" * (number % 12_000))]))
    assert len(decoder.known) + len(decoder._of_fields) <= 512
    assert sum(map(len, decoder.known)) < 1 << 20


def test_what_is_remembered_is_bounded() -> None:
    encoder, decoder = Encoder(), FieldDecoder(4096, 1 << 20, list)
    for number in range(2000):
        decoder.decode(encoder.encode([(f"x-{number}", "v" * 100)]))
    assert decoder._bytes <= 4096
    assert sum(len(name) + len(value) + 32 for name, value in decoder._entries) == decoder._bytes


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",  # index 0
        b"\xff\x80\x80\x80\x80\x80\x01",  # an integer without end
        b"\xbe",  # not in the table
        b"\x00\x85abc",  # cut off
        b"\x00\x01a\x81\x00",  # Huffman code with padding that is not all ones
        b"\x82\x20",  # a size update behind a field
        b"\x3f\xe2\x1f",  # 4,097 bytes
    ],
)
def test_what_is_no_block(block: bytes) -> None:
    with pytest.raises(ConnectionFailed):
        FieldDecoder(4096, 1 << 20, list).decode(block)


def test_too_many_fields_are_told_and_learnt_all_the_same() -> None:
    encoder, decoder = Encoder(), FieldDecoder(4096, 200, list)
    with pytest.raises(TooLarge):
        decoder.decode(encoder.encode([("a", "x" * 100), ("b", "y" * 100)]))
    assert decoder.decode(encoder.encode([("b", "y" * 100)])) == [(b"b", b"y" * 100)]
