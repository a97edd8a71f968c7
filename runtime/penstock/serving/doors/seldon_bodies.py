"""Where a request to Seldon's REST API keeps its JSON: multipart form, form field, query or the body itself."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from penstock.proto import PayloadError, RequestError
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
    content_type = request.headers.get(b"content-type", b"")
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type == b"multipart/form-data":
        # Imported when one comes: its parser brings the whole of email, and a start should be short.
        from .seldon_multipart import multipart_json

        return multipart_json(request.body, content_type, limits)
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
