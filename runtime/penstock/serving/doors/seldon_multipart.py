"""A multipart form as Seldon's REST API accepts it: each part one field of the message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from penstock.proto import PayloadError
from penstock.proto.base64text import encode_base64
from penstock.proto.jsontext import loads

if TYPE_CHECKING:
    from penstock.proto import Limits
    from penstock.proto.payload import Json

_MOST_PARTS = 64


def multipart_json(body: bytes, content_type: bytes, limits: Limits) -> dict[str, Json]:
    """The parts by their names.

    Raises:
        PayloadError: the form is malformed, has no part or too many, or a part's content is not what its name says.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise PayloadError("the content type multipart/form-data names no boundary", code="BAD_FORM")
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise PayloadError("the multipart form is malformed", code="BAD_FORM") from None
    if not parts.complete:
        raise PayloadError("the multipart form is cut off", code="BAD_FORM")
    if not parts.values:
        raise PayloadError("the multipart form has no part", code="NO_JSON")
    return {name: _value(name, content, is_file, limits) for name, (content, is_file) in parts.values.items()}


def _value(name: str, content: bytes, is_file: bool, limits: Limits) -> Json:  # noqa: FBT001
    """StrData is text; binData is bytes where it is a file; all else is JSON."""
    if name == "strData":
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise PayloadError(f"strData is not UTF-8 text (byte {error.start})", code="BAD_TEXT") from None
    if name == "binData" and is_file:
        return encode_base64(content)
    try:
        return loads(content, limits)
    except PayloadError as error:
        raise type(error)(f"part {name!r:.60}: {error.message}", code=error.code) from None


class _Parts:
    """Collects the parts that the parser finds."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[bytes, bool]] = {}
        self.complete = False
        self._header, self._header_value = bytearray(), bytearray()
        self._disposition: dict[bytes, bytes] = {}
        self._content: list[bytes] = []

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._collect_header,
            "on_header_value": self._collect_header_value,
            "on_header_end": self._end_header,
            "on_part_data": self._collect,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._disposition, self._content = {}, []

    def _collect_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _collect_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = parse_options_header(bytes(self._header_value))[1]
        self._header, self._header_value = bytearray(), bytearray()

    def _collect(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def _end(self) -> None:
        name = self._disposition.get(b"name", b"").decode("utf-8", "replace")
        if not name:
            raise PayloadError("a part of the multipart form has no name", code="BAD_FORM")
        if name in self.values:
            raise PayloadError(f"the multipart form has {name!r:.60} twice", code="BAD_FORM")
        if len(self.values) >= _MOST_PARTS:
            raise PayloadError(f"the multipart form has more than {_MOST_PARTS} parts", code="BAD_FORM")
        self.values[name] = b"".join(self._content), b"filename" in self._disposition

    def _finish(self) -> None:
        self.complete = True
