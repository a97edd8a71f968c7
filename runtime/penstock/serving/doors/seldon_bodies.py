"""Where a request to Seldon's REST API keeps its JSON: multipart form, form field, query or the body itself."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from penstock.proto import PayloadError, RequestError
from penstock.proto.base64text import encode_base64
from penstock.proto.jsontext import loads
from penstock.proto.numbertext import loads_numbers

if TYPE_CHECKING:
    from penstock.proto import Limits
    from penstock.proto.payload import Json

    from .exchange import Request

# A message has a handful of parts; each costs a few hundred bytes whatever it holds.
_MOST_PARTS = 64


def json_of(request: Request, limits: Limits) -> Json:
    """The JSON value that a request carries.

    Raises:
        PayloadError: there is none, or it is malformed. RequestError: 415, a content type that is not read.
    """
    media_type, options = parse_options_header(request.headers.get(b"content-type", b""))
    if media_type == b"multipart/form-data":
        return _multipart(request.body, options.get(b"boundary", b""), limits)
    text = _text(request, media_type)
    if not text.strip():
        raise PayloadError("the request has no JSON: neither body, form field json nor query json", code="NO_JSON")
    return loads_numbers(text, limits)


def _text(request: Request, media_type: bytes) -> bytes:
    if media_type == b"application/x-www-form-urlencoded" and not request.body.lstrip().startswith(b"{"):
        # (A body that opens with a brace is JSON, sent by curl's -d, which gives it this content type.)
        return _field(request.body, "form") or _field(request.query, "query")
    if request.query and (text := _field(request.query, "query")):
        return text
    known = {b"", b"application/json", b"application/x-www-form-urlencoded"}
    if request.body and media_type not in known and not media_type.endswith(b"+json"):
        raise RequestError(
            f"the content type {media_type.decode('latin-1')!r:.60} is not read here; "
            "send application/json, multipart/form-data or application/x-www-form-urlencoded",
            code="UNSUPPORTED_MEDIA_TYPE",
            http_status=415,
        )
    return request.body


def _field(encoded: bytes, what: str) -> bytes:
    """The field ``json`` of an url-encoded form."""
    try:
        fields = parse_qsl(encoded.decode("ascii"), max_num_fields=_MOST_PARTS, errors="strict")
    except ValueError:
        raise PayloadError(f"the {what} is not url-encoded text", code="BAD_FORM") from None
    return dict(fields).get("json", "").encode("utf-8", "surrogatepass")


def _multipart(body: bytes, boundary: bytes, limits: Limits) -> dict[str, Json]:
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
