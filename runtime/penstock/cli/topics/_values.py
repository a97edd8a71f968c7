"""Bytes of a record as something to look at: what they are as one of the six kinds, or what they look like."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from penstock.proto import Kind
    from penstock.streams.records import Headers, Record

_LONGEST: Final = 4_000  # characters of a value in a terminal
_DUMPED: Final = 256  # bytes of it in hexadecimal
_SIGNATURES: Final = {
    b"\x89PNG\r\n": "PNG image",
    b"\xff\xd8\xff": "JPEG image",
    b"GIF8": "GIF image",
    b"%PDF": "PDF",
    b"PK\x03\x04": "ZIP archive",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"RIFF": "RIFF (WAV, WebP or AVI)",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b"PAR1": "Parquet",
    b"Obj\x01": "Avro",
    b"\x93NUMPY": "numpy array",
    b"\x89HDF": "HDF5",
}


def json_of(value: bytes | None, kind: Kind | None = None) -> Any:
    """The value for JSON.

    What does not decode, or is neither JSON nor text where no kind is said, is ``{"base64": …}``.
    """
    if value is None:
        return None
    from penstock.proto import Kind, PayloadError, decode, encode_text
    from penstock.proto.jsontext import loads

    try:
        if kind is None:
            return _guessed(value)
        if kind is Kind.BIN_DATA:
            return b64encode(value).decode()
        text = encode_text(decode(kind, value))
        return text if kind is Kind.STR_DATA else loads(text.encode())
    except PayloadError:
        return {"base64": b64encode(value).decode()}


def text_of(value: bytes | None) -> str | None:
    """A key or a header's value as text; hexadecimal after ``0x`` where it is none."""
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return f"0x{value.hex()}"
    return text if text.isprintable() else f"0x{value.hex()}"


def key_json(value: bytes | None) -> Any:
    """A key or a header's value for JSON: text, or ``{"base64": …}``."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(value).decode()}


def headers_json(headers: Headers) -> list[list[Any]]:
    """Headers for JSON, in order; a name may come several times."""
    return [[name, key_json(value)] for name, value in headers]


def record_json(record: Record, kind: Kind | None = None) -> dict[str, Any]:
    """A record as one object."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": key_json(record.key),
        "headers": headers_json(record.headers),
        "value": json_of(record.value, kind),
    }


def line_of(value: bytes | None, kind: Kind | None = None) -> str:
    """The value in one line, for a pipe: text and JSON as they are, else base64."""
    if value is None:
        return ""
    shown = json_of(value, kind)
    if isinstance(shown, str):
        return shown
    if isinstance(shown, dict) and set(shown) == {"base64"}:
        return str(shown["base64"])
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))


def drawn(value: bytes | None, kind: Kind | None = None) -> Any:
    """The value for a terminal: JSON in colour, text, or a size, a guess and a hexdump."""
    from rich.json import JSON
    from rich.text import Text

    if value is None:
        return Text("(no value: a tombstone)", style="dim")
    shown = json_of(value, kind)
    if kind == "binData" or (isinstance(shown, dict) and set(shown) == {"base64"}):
        return Text(f"{len(value):,} bytes, {look_of(value)}\n{_hexdump(value)}")
    text = shown if isinstance(shown, str) and kind != "jsonData" else json.dumps(shown, ensure_ascii=False)
    if len(text) > _LONGEST:
        return Text(f"{text[:_LONGEST]} … ({len(text):,} characters)")
    return Text(text) if isinstance(shown, str) else JSON(text, indent=None if len(text) < 100 else 2)


def _guessed(value: bytes) -> Any:
    from penstock.proto import PayloadError
    from penstock.proto.jsontext import loads

    try:
        return loads(value)
    except PayloadError:
        text = text_of(value)
        return text if text is not None and not text.startswith("0x") else {"base64": b64encode(value).decode()}


def look_of(value: bytes) -> str:
    """What bytes begin like."""
    for signature, name in _SIGNATURES.items():
        if value.startswith(signature):
            return name
    return "text" if (text_of(value[:200]) or "0x")[:2] != "0x" else "of no known type"


def _hexdump(value: bytes) -> str:
    lines = []
    for start in range(0, min(len(value), _DUMPED), 16):
        row = value[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:08x}  {row.hex(' ', 8):33}  {text}")
    if len(value) > _DUMPED:
        lines.append("…")
    return "\n".join(lines)
