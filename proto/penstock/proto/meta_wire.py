"""Seldon's ``Meta`` in protobuf bytes as almost every message has it: a puid and the path it took.

Any other goes through protobuf's own parser (`penstock.proto.meta_messages`).

Field numbers: Meta 1 puid, 2 tags, 3 routing, 4 requestPath, 5 metrics; a map's entry 1 key, 2 value.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from .errors import PayloadError
from .payload import Meta
from .values import text_bytes
from .wire import LENGTH, varint

if TYPE_CHECKING:
    from .limits import Limits

_PUID, _PATH = 1 << 3 | LENGTH, 4 << 3 | LENGTH
_KEY, _VALUE = 1 << 3 | LENGTH, 2 << 3 | LENGTH
# Entries of the path as they are on the wire: a service adds the same one to every message.
_entries: dict[tuple[str, str], bytes] = {}
_MOST_ENTRIES, _LONGEST_ENTRY = 256, 512


def read_meta(data: bytes, limits: Limits) -> Meta:
    """Read a ``Meta``.

    Raises:
        PayloadError: it is none, or a tag has no value. LimitError: a tag is nested too deep.
    """
    if len(data) > limits.meta_bytes:
        raise PayloadError(
            f"meta has {len(data):,} bytes, more than the {limits.meta_bytes:,} allowed", code="META_TOO_LARGE"
        )
    plain = _read_plain(data)
    if plain is not None:
        return plain
    # Imported for what is not plain, here and below: a start should be short.
    from .meta_messages import read_by_protobuf

    return read_by_protobuf(data, limits)


def _read_plain(data: bytes) -> Meta | None:
    """A puid and the entries of the path, in this order and none of them long; None where there is anything else."""
    puid, path, at, end = "", dict[str, str](), 0, len(data)
    try:
        if data[0] == _PUID and data[1] < 0x80:
            at = 2 + data[1]
            puid = data[2:at].decode()
        while at < end and data[at] == _PATH and data[at + 1] < 0x80:
            start, at = at + 2, at + 2 + data[at + 1]
            key, image = _read_entry(data[start:at])
            path[key] = image
    except (IndexError, ValueError):
        return None
    return Meta(puid, request_path=path) if at == end else None


@lru_cache(256)
def _read_entry(data: bytes) -> tuple[str, str]:
    """ValueError or IndexError where it is not a short key and a short value."""
    start, value = 2, 2 + data[1]
    stop = value + 2 + data[value + 1]
    if data[0] != _KEY or data[value] != _VALUE or data[1] >= 0x80 or data[value + 1] >= 0x80 or stop != len(data):
        raise ValueError
    return data[start:value].decode(), data[value + 2 : stop].decode()


def write_meta(meta: Meta) -> bytes:
    """Write a ``Meta``, the keys of its maps sorted."""
    if meta.tags or meta.routing or meta.metrics:
        from .meta_messages import write_by_protobuf

        return write_by_protobuf(meta)
    path = [_entry(key, image) for key, image in sorted(meta.request_path.items())]
    if not meta.puid:
        return b"".join(path)
    puid = text_bytes(meta.puid)
    return b"".join((b"\x0a", varint(len(puid)), puid, *path))


def _entry(key: str, image: str) -> bytes:
    """One entry of the path."""
    known = _entries.get((key, image))
    if known is not None:
        return known
    key_text, image_text = text_bytes(key), text_bytes(image)
    body = b"".join((b"\x0a", varint(len(key_text)), key_text, b"\x12", varint(len(image_text)), image_text))
    entry = b"\x22" + varint(len(body)) + body
    if len(entry) <= _LONGEST_ENTRY:
        if len(_entries) >= _MOST_ENTRIES:
            _entries.clear()
        _entries[key, image] = entry
    return entry
