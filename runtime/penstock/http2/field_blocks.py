"""Header blocks: HPACK, RFC 7541.

The decoder is ours, because hpack's takes 30 µs for a block of eight indexed fields; static table and Huffman code
are that package's. A block that leaves the dynamic table as it was means the same each time it comes, so what it
means is remembered until the table changes.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from .failures import ConnectionFailed
from .frames import Code

if TYPE_CHECKING:
    from collections.abc import Callable

Field = tuple[bytes, bytes]
Fields = tuple[Field, ...]

STATIC: Final[tuple[Field, ...]] = tuple((bytes(name), bytes(value)) for name, value in HeaderTable.STATIC_TABLE)
_STATIC_COUNT: Final = len(STATIC)
_OVERHEAD: Final = 32  # that an entry counts beside its bytes, RFC 7541, 4.1
_REMEMBERED: Final = 256
_LONGEST_REMEMBERED: Final = 2048  # bytes, as the RFC counts them; so a peer cannot fill the memory with variations
_BOMB: Final = 4  # times the limit: read so far, so that the next block can be read, too; then the connection ends
_LONGEST_INTEGER: Final = 5  # octets; more than 2^28 is no length or index that anybody needs


class TooLarge(Exception):  # noqa: N818
    """The fields are more than the limit; the block was read to its end, so the table is as the peer has it."""


@lru_cache(4096)
def _short_text(code: bytes) -> bytes:
    return bytes(decode_huffman(code))


class FieldDecoder:
    """Reads the header blocks of one connection, in order.

    Args:
        table_bytes: what the dynamic table may hold: our SETTINGS_HEADER_TABLE_SIZE.
        list_bytes: what the fields of a block may take, counted as the RFC does.
        made: what is made of the fields of a block, once for all the times that they come.
        varying: name of a field that is another each time, and so is kept apart from the fields.

    Attributes:
        known: for blocks that mean the same when they come again: what was made, and the varying field's value.
        varied: value of that field in the last block that `decode` was given; None where it had none.
    """

    def __init__(
        self, table_bytes: int, list_bytes: int, made: Callable[[Fields], Any], varying: bytes | None = None
    ) -> None:
        self._allowed = self._most = table_bytes
        self._list_bytes = list_bytes
        self._entries: deque[Field] = deque()
        self._bytes = 0
        self._made = made
        self._varying = varying
        self._of_fields: dict[Fields, Any] = {}
        self.known: dict[bytes, tuple[Any, bytes | None]] = {}
        self.varied: bytes | None = None

    def decode(self, block: bytes) -> Any:
        """What ``made`` makes of a block's fields: the same object again, where they are the same.

        Raises:
            ConnectionFailed: COMPRESSION_ERROR; or ENHANCE_YOUR_CALM, several times ``list_bytes``.
            TooLarge: more than ``list_bytes``.
        """
        known = self.known.get(block)
        if known is not None:
            told, self.varied = known
            return told
        self.varied = None
        try:
            fields, size, learnt = self._read(block)
        except (IndexError, HPACKDecodingError, ValueError):
            raise ConnectionFailed(Code.COMPRESSION_ERROR, "a header block cannot be read") from None
        if size > self._list_bytes:
            raise TooLarge
        if size > _LONGEST_REMEMBERED:
            return self._made(fields)
        told = self._of_fields.get(fields)
        if told is None:
            told = self._made(fields)
            _remember(self._of_fields, fields, told)
        if not learnt:
            _remember(self.known, block, (told, self.varied))
        return told

    def _read(self, block: bytes) -> tuple[Fields, int, bool]:
        fields: list[Field] = []
        at, end, size, learnt = 0, len(block), 0, False
        entries, varying = self._entries, self._varying
        while at < end:
            first = block[at]
            if first & 0x80:  # indexed
                if _STATIC_COUNT < first & 0x7F < 0x7F:
                    field, at = entries[(first & 0x7F) - _STATIC_COUNT - 1], at + 1
                else:
                    index, at = _integer(block, at, 0x7F)
                    field = self._at(index)
            elif first & 0x20 and not first & 0x40:
                if fields:
                    raise ValueError("a size update behind a field")
                at = self._resize(block, at)
                learnt = True
                continue
            elif first & 0x40:  # literal, to be remembered
                field, at = self._literal(block, at, 0x3F)
                self._learn(field)
                learnt = True
            else:  # literal, not to be remembered
                field, at = self._literal(block, at, 0x0F)
            size += len(field[0]) + len(field[1]) + _OVERHEAD
            if field[0] == varying:
                self.varied = field[1]
            elif size <= self._list_bytes:
                fields.append(field)
            elif size > self._list_bytes * _BOMB:
                raise ConnectionFailed(Code.ENHANCE_YOUR_CALM, "header fields that are large beyond measure")
        return tuple(fields), size, learnt

    def _resize(self, block: bytes, at: int) -> int:
        self._most, at = _integer(block, at, 0x1F)
        if self._most > self._allowed:
            raise ValueError("a larger table than allowed")
        self._evict(self._most)
        return at

    def _literal(self, block: bytes, at: int, mask: int) -> tuple[Field, int]:
        index, at = _integer(block, at, mask)
        if index:
            name = self._at(index)[0]
        else:
            name, at = _text(block, at)
        value, at = _text(block, at)
        return (name, value), at

    def _at(self, index: int) -> Field:
        if index == 0:
            raise IndexError
        if index <= _STATIC_COUNT:
            return STATIC[index - 1]
        return self._entries[index - _STATIC_COUNT - 1]

    def _learn(self, field: Field) -> None:
        size = len(field[0]) + len(field[1]) + _OVERHEAD
        self.known.clear()
        self._evict(self._most - size)
        if size <= self._most:
            self._entries.appendleft(field)
            self._bytes += size

    def _evict(self, most: int) -> None:
        self.known.clear()
        while self._entries and self._bytes > most:
            name, value = self._entries.pop()
            self._bytes -= len(name) + len(value) + _OVERHEAD


def _remember(known: dict[Any, Any], key: Any, told: Any) -> None:
    if len(known) >= _REMEMBERED:
        known.clear()
    known[key] = told


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """RFC 7541, 5.1."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    for count in range(_LONGEST_INTEGER):
        octet = block[at]
        at += 1
        value += (octet & 0x7F) << (7 * count)
        if octet < 0x80:
            return value, at
    raise ValueError("an integer without end")


def _text(block: bytes, at: int) -> tuple[bytes, int]:
    is_huffman = block[at] & 0x80
    length, at = _integer(block, at, 0x7F)
    end = at + length
    if end > len(block):
        raise IndexError
    text = block[at:end]
    if is_huffman:
        text = _short_text(text) if length <= 256 else bytes(decode_huffman(text))
    return text, end


def literal(name: bytes, value: bytes) -> bytes:
    """A field that the peer need not remember, without Huffman code."""
    return b"\x00" + _plain(name) + _plain(value)


def remembered(name: bytes, value: bytes) -> bytes:
    """A field that becomes the first entry of the peer's dynamic table, index 62."""
    return b"\x40" + _plain(name) + _plain(value)


def indexed(index: int) -> bytes:
    """A field that the peer knows, RFC 7541, 6.1."""
    first, *rest = _length(index)
    return bytes((first | 0x80, *rest))


def table_size(size: int) -> bytes:
    """The size of the dynamic table from here on, RFC 7541, 6.3."""
    if size < 0x1F:
        return bytes([0x20 | size])
    return b"\x3f" + _rest(size - 0x1F)


def status(code: int) -> bytes:
    """The field ``:status``."""
    index = {200: 8, 204: 9, 206: 10, 304: 11, 400: 12, 404: 13, 500: 14}.get(code)
    return bytes([0x80 | index]) if index else b"\x08\x03%d" % code


def _plain(text: bytes) -> bytes:
    return _length(len(text)) + text


def _length(value: int) -> bytes:
    return bytes([value]) if value < 0x7F else b"\x7f" + _rest(value - 0x7F)


def _rest(value: int) -> bytes:
    """What of an integer does not fit into its first octet, RFC 7541, 5.1."""
    octets = []
    while value >= 0x80:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)
