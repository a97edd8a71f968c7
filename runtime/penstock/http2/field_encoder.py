"""Writing header blocks: HPACK, RFC 7541, for a peer that is sent the same fields again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .field_blocks import STATIC, indexed, literal, remembered, table_size

if TYPE_CHECKING:
    from .field_blocks import Field, Fields

_STATIC_INDEX: Final = {field: index for index, field in enumerate(STATIC, 1) if field[1]}
_OVERHEAD: Final = 32  # that an entry counts beside its bytes, RFC 7541, 4.1
_REMEMBERED: Final = 256
DEFAULT_TABLE: Final = 4096  # octets, RFC 9113, 6.5.2


class FieldEncoder:
    """Writes the header blocks of one connection, in order.

    A field is sent once and named by its index from then on. Nothing is evicted piece by piece: where the table is
    full it is emptied, so that an index is simple to know.
    """

    def __init__(self) -> None:
        self._most = DEFAULT_TABLE
        self._entries: dict[Field, int] = {}
        self._bytes = 0
        self._resized = b""
        self._known: dict[Fields, bytes] = {}

    def resize(self, table_bytes: int) -> None:
        """The peer's SETTINGS_HEADER_TABLE_SIZE; of more than the default no use is made."""
        most = min(table_bytes, DEFAULT_TABLE)
        if most != self._most:
            self._most = most
            self._empty()

    def encode(self, fields: Fields) -> bytes:
        """The block of ``fields``, whose like will come again; what will not belongs behind it, as `literal`."""
        known = self._known.get(fields)
        if known is not None:
            return known
        new = {field for field in fields if field not in _STATIC_INDEX and field not in self._entries}
        size = sum(map(_counted, new))
        if self._bytes + size > self._most and self._entries:
            self._empty()
        before = len(self._entries)
        resized, self._resized = self._resized, b""
        block = b"".join(map(self._field, fields))
        if len(self._entries) != before:
            self._known.clear()  # each index is one higher now
        elif not resized:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[fields] = block
        return resized + block

    def _field(self, field: Field) -> bytes:
        index = _STATIC_INDEX.get(field)
        if index is not None:
            return indexed(index)
        place = self._entries.get(field)
        if place is not None:
            return indexed(len(STATIC) + len(self._entries) - place)
        if self._bytes + _counted(field) > self._most:
            return literal(*field)
        self._entries[field] = len(self._entries)
        self._bytes += _counted(field)
        return remembered(*field)

    def _empty(self) -> None:
        # RFC 7541, 4.2: a change is told at the start of the next block, the smallest size in between first.
        self._resized = table_size(0) + table_size(self._most)
        self._entries.clear()
        self._known.clear()
        self._bytes = 0


def _counted(field: Field) -> int:
    return len(field[0]) + len(field[1]) + _OVERHEAD
