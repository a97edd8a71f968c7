"""REST over HTTP/2: requests that are not gRPC go to the same doors as those of HTTP/1.1."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from penstock.http2.field_blocks import literal
from penstock.proto import LimitError

from .stepping import Steps

if TYPE_CHECKING:
    from penstock.http2.field_blocks import Fields
    from penstock.http2.streams import Stream

    from .exchange import Response
    from .http2 import Http2
    from .rest import Rest


class RestHead:
    """What the requests with one header block have in common."""

    __slots__ = ("calls", "follows", "found", "headers", "most")

    def __init__(self, calls: RestCalls, rest: Rest, fields: Fields) -> None:
        values = dict(fields)
        self.calls = calls
        self.follows = False
        self.most = rest.limits.message_bytes
        self.found = rest.find(values[b":method"], values[b":path"])
        self.headers = {name: value for name, value in fields if name[:1] != b":"}
        if b":authority" in values:
            self.headers[b"host"] = values[b":authority"]


class RestCalls:
    """The REST doors."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def head(self, fields: Fields) -> RestHead:
        """What is known of a request before its body has come."""
        return RestHead(self, self._rest, fields)

    def request(self, http2: Http2, stream: Stream) -> None:
        """Answer a request that is complete, now or later."""
        if stream.size > self._rest.limits.message_bytes:
            self.too_large(http2, stream)
            return
        work = Steps(self._answer(http2, stream))
        stream.work = None if work.done else work

    async def _answer(self, http2: Http2, stream: Stream) -> None:
        head: RestHead = stream.head
        body, stream.chunks = stream.body(), []
        self._respond(http2, stream, await self._rest.answer(head.found, head.headers, body))

    def growing(self, http2: Http2, stream: Stream) -> int:  # noqa: ARG002
        """Only its end tells the size of a body; or its ``content-length``, which was looked at."""
        return 0

    def too_large(self, http2: Http2, stream: Stream) -> None:
        """Refuse a request whose body is larger than allowed, before all of it has come."""
        head: RestHead = stream.head
        try:
            self._rest.limits.check_bytes(max(stream.size, stream.expected))
        except LimitError as error:
            self._respond(http2, stream, self._rest.refuse(head.found, head.headers, error))

    def deadline(self, _stream: Stream) -> float:
        """Seconds that a request may take: there is no such field."""
        return inf

    def expire(self, http2: Http2, stream: Stream) -> None:
        """Requests of REST have no deadline of their own."""

    def begin(self, http2: Http2, stream: Stream) -> None:
        """No body is taken as it comes."""

    def _respond(self, http2: Http2, stream: Stream, response: Response) -> None:
        head: RestHead = stream.head
        fields = (
            (b":status", b"%d" % response.status),
            (b"content-type", response.content_type),
            (b"access-control-allow-origin", b"*"),
        )
        rest = literal(b"content-length", b"%d" % len(response.body)) + http2.date
        for name, value in response.headers:
            rest += literal(name.lower(), value)
        body = b"" if head.found.method == "HEAD" else response.body
        if not http2.answer(stream, fields, rest, b"", body):
            http2.answer(stream, ((b":status", b"503"),), literal(b"content-length", b"0"), b"", b"")
