"""Header blocks: any bytes are read or refused, the table keeps its bound, and hpack reads the same out of them."""

from __future__ import annotations

from hpack import Decoder
from hpack.exceptions import HPACKError

from penstock.http2.failures import ConnectionFailed
from penstock.http2.field_blocks import FieldDecoder, TooLarge


def run(data: bytes) -> None:
    """Three blocks on one connection, their lengths in the first two bytes."""
    ours, theirs = FieldDecoder(4096, 1 << 16, list), Decoder(max_header_list_size=1 << 30)
    first, second = (*data[:2], 0, 0)[:2]
    rest = data[2:]
    for block in (rest[:first], rest[first : first + second], rest[first + second :]):
        try:
            fields = ours.decode(block)
        except (ConnectionFailed, TooLarge):
            return
        finally:
            assert ours._bytes <= 4096
        try:
            expected = theirs.decode(block, raw=True)
        except (HPACKError, UnicodeDecodeError):
            return  # stricter in something, which is its right; the tables differ from here on
        assert fields == [tuple(field) for field in expected], block
