"""HTTP/1.1, RFC 9112: one connection, its requests answered one after the other.

A caller's requests begin with the same bytes again and again. So a head that has been parsed is kept, with what was
found in it, by its very bytes; a request that comes whole and begins with one of these is not parsed at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httptools

from penstock.proto import LimitError, PenstockError, RequestError

from .answer_heads import answer_head
from .stepping import Steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .connections import Connections
    from .exchange import Response
    from .rest import Found, Rest

_log = logging.getLogger(__name__)

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_HEAD_END: Final = b"\r\n\r\n"
# A request's line and headers together; nginx takes 32 KiB.
_MOST_HEAD_BYTES: Final = 64 * 1024
# A head that has not come to its end: above what one read may bring of a body and the next head together.
_MOST_UNPARSED_BYTES: Final = 1024 * 1024
# Heads that are kept: how many, and how long they may be.
_MOST_KNOWN: Final = 1024
_LONGEST_KNOWN: Final = 2048
# From here on a body is written by itself: cheaper than to copy it behind its head.
_LARGE: Final = 32 * 1024
# How long a peer may take, seconds: between requests as nginx; for a head and for a body as Apache's
# mod_reqtimeout, a body that comes with at least so many bytes a second may take longer.
_IDLE, _HEAD, _BODY, _BODY_RATE = 75.0, 20.0, 20.0, 500.0
# Without taking a byte of an answer, and while what nobody wants is read on so that the answer is not lost.
_STALLED, _LINGER = 30.0, 10.0


class Head(NamedTuple):
    """What is known of a request before its body, where more requests may follow it on the connection.

    Attributes:
        found: what answers it.
        headers: names in lower case; of a repeated one the last.
        length: bytes of the body.
    """

    found: Found
    headers: Mapping[bytes, bytes]
    length: int


class Http1Door:
    """What all connections share."""

    def __init__(self, rest: Rest, connections: Connections) -> None:
        self.rest = rest
        self.connections = connections
        self.known: dict[bytes, Head] = {}

    def __call__(self) -> Http1:
        """A protocol for one more connection."""
        return Http1(self)

    def learn(self, text: bytes, head: Head) -> None:
        """Keep what was found in a head."""
        if len(self.known) >= _MOST_KNOWN:
            self.known.clear()
        self.known[text] = head


class _Waiting(NamedTuple):
    """A request that waits for its turn; ``response`` where it is refused already."""

    found: Found
    headers: Mapping[bytes, bytes]
    body: bytes
    keep: bool
    response: Response | None


class Http1(asyncio.Protocol):
    """One connection."""

    def __init__(self, door: Http1Door) -> None:
        self._door = door
        self._rest = door.rest
        self._connections = door.connections
        self._known = door.known
        self._most_bytes = door.rest.limits.message_bytes
        self._transport: asyncio.Transport
        self._queue: deque[_Waiting] = deque()
        self._work: Steps | None = None
        self._running = self._answering = self._writing_paused = self._reading_paused = False
        self._deaf = False  # what comes is thrown away
        self._ending = False  # what has come is answered, and nothing more is wanted
        self._unwritten = 0
        self._until = self._connections.now + _IDLE
        self._in_head = self._in_body = False
        self._owes_continue = False
        self._is_plain = True  # nothing in the head but what the head itself tells
        self._unparsed = self._head_bytes = 0
        self._headers: dict[bytes, bytes] = {}
        self._target = b""
        self._found: Found
        self._keep = True
        self._chunks: list[bytes] = []
        self._size = 0
        self._taken = 0
        self._new_parser()

    def _new_parser(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        # What comes behind a request with "connection: close" is nobody's, and no reason to keep the answer back.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)

    # ------------------------------------------------------------------ the transport's calls

    def connection_made(self, transport: Any) -> None:
        """Called by the event loop."""
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """Called by the event loop: whoever asked, and has closed at least its half, does not wait."""
        self._connections.discard(self)
        self._deaf = True
        self._queue.clear()
        if self._work is not None:
            self._work.cancel()

    def pause_writing(self) -> None:
        """Called by the event loop: the peer does not read."""
        self._writing_paused = True
        self._unwritten = self._transport.get_write_buffer_size()
        self._until = self._connections.now + _STALLED

    def resume_writing(self) -> None:
        """Called by the event loop: the peer has read."""
        self._writing_paused = False
        self._run()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if self._in_head or self._in_body or self._deaf:
            self._parse(data)
            return
        at = 0
        while at < len(data) and not self._deaf:
            end = data.find(_HEAD_END, at)
            head = self._known.get(data[at:end]) if end > 0 else None
            start = end + len(_HEAD_END)
            if head is None:
                self._parse_and_learn(data[at:] if at else data, start - at)
                return
            stop = start + head.length
            if len(data) < stop:
                self._parse(data[at:] if at else data)
                return
            at = stop
            self._take(head.found, head.headers, data[start:stop], keep=True)

    def _parse_and_learn(self, data: bytes, head_size: int) -> None:
        self._taken = 0
        self._is_plain = True
        self._parse(data)
        # Only where all that was read is this one request: then what was found in it was found in these bytes.
        if (
            self._taken == 1
            and self._is_plain
            and self._keep
            and head_size + self._size == len(data)
            and len(_HEAD_END) < head_size <= _LONGEST_KNOWN
        ):
            self._door.learn(data[: head_size - len(_HEAD_END)], Head(self._found, self._headers, self._size))

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # An offer of another protocol, which we do not take: it goes on in this one.
                data = data[upgrade.args[0] :]
                self._is_plain = False
                self._new_parser()
                continue
            except httptools.HttpParserCallbackError as error:
                _log.error("the HTTP/1.1 door failed", exc_info=error.__context__ or error)
                self._transport.abort()
                return
            except httptools.HttpParserError:
                self._refuse(_wrong("this is not HTTP/1.1"))
                return
            break
        if self._in_head:
            self._unparsed += len(data)
            if self._unparsed > _MOST_UNPARSED_BYTES:
                self._transport.abort()

    # ------------------------------------------------------------------ the parser's calls

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._in_head = True
        self._headers = {}
        self._target = b""
        self._head_bytes = self._unparsed = self._size = 0
        self._until = self._connections.now + _HEAD

    def on_url(self, url: bytes) -> None:
        """Called by the parser, with pieces."""
        self._target += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        name = name.lower()
        if name == b"host" and name in self._headers:
            self._refuse(_wrong("the request has two Host headers"))
        self._headers[name] = value
        self._count_head(len(name) + len(value))

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > _MOST_HEAD_BYTES:
            self._refuse(
                _wrong(f"the headers have more than {_MOST_HEAD_BYTES:,} bytes", status=431, code="HEADERS_TOO_LARGE")
            )

    def on_headers_complete(self) -> None:
        """Called by the parser: the request is known but for its body."""
        self._in_head = False
        if self._deaf:
            return
        self._in_body = True
        self._until = self._connections.now + _BODY
        parser, headers = self._parser, self._headers
        self._found = self._rest.find(parser.get_method(), self._target)
        version = parser.get_http_version()
        self._keep = version == "1.1" and parser.should_keep_alive()
        length = int(headers.get(b"content-length", b"0"))
        if version not in {"1.1", "1.0"}:
            self._refuse(_wrong(f"HTTP/{version} is not spoken in this form", status=505, code="HTTP_VERSION"))
        elif b"host" not in headers and version == "1.1":
            self._refuse(_wrong("the request has no Host header"))
        elif length > self._most_bytes:
            self._too_large(length)
        elif b"expect" in headers or b"transfer-encoding" in headers:
            self._is_plain = False
            if headers.get(b"expect", b"").lower() == b"100-continue" and version == "1.1":
                self._expected()

    def _expected(self) -> None:
        """The caller waits for a word before it sends the body (RFC 9110, 10.1.1)."""
        if self._found.wants_body:
            self._owes_continue = True
            self._pay_continue()
        else:
            self._keep = False  # answered now: the body will not come
            self._in_body = False
            self.on_message_complete()

    def _pay_continue(self) -> None:
        if self._owes_continue and not self._answering:
            self._owes_continue = False
            self._transport.write(_CONTINUE)

    def on_body(self, piece: bytes) -> None:
        """Called by the parser, with pieces."""
        if self._deaf:
            return
        self._owes_continue = False
        size = len(piece)
        self._size += size
        self._until = min(self._until + size / _BODY_RATE, self._connections.now + _BODY)
        if self._size > self._most_bytes:
            self._too_large(self._size)
        else:
            self._chunks.append(piece)

    def on_message_complete(self) -> None:
        """Called by the parser: the request is complete."""
        self._in_body = self._owes_continue = False
        if self._deaf:
            if not self._answering and not self._queue:
                self._transport.close()  # what was refused has been read to its end
            return
        chunks, self._chunks = self._chunks, []
        self._taken += 1
        self._take(self._found, self._headers, chunks[0] if len(chunks) == 1 else b"".join(chunks), keep=self._keep)

    # ------------------------------------------------------------------ what is refused

    def _too_large(self, size: int) -> None:
        try:
            self._rest.limits.check_bytes(size)
        except LimitError as error:
            self._refuse(error, linger=self._in_body)

    def _refuse(self, error: PenstockError, *, linger: bool = False) -> None:
        """Answer, and listen to nothing more; with ``linger`` the rest of the request is still read for a while."""
        if self._deaf:
            return
        self._in_body = linger
        self._chunks = []
        found = self._rest.find(self._parser.get_method(), self._target)
        response = self._rest.refuse(found, self._headers, error)
        self._take(found, self._headers, b"", keep=False, response=response)

    # ------------------------------------------------------------------ answers

    def _take(
        self,
        found: Found,
        headers: Mapping[bytes, bytes],
        body: bytes,
        *,
        keep: bool,
        response: Response | None = None,
    ) -> None:
        """Answer a request when those before it are answered."""
        if not keep:
            self._deaf = True
        if response is None and not (self._answering or self._queue or self._writing_paused):
            self._begin(found, headers, body, keep)
            return
        self._queue.append(_Waiting(found, headers, body, keep, response))
        if not self._answering:
            self._run()
        elif not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def _begin(self, found: Found, headers: Mapping[bytes, bytes], body: bytes, keep: bool) -> None:  # noqa: FBT001
        self._answering = True
        work = Steps(self._answer(found, headers, body, keep))
        self._work = None if work.done else work

    def _run(self) -> None:
        """Answer what waits, one after the other."""
        if self._running:
            return  # called from an answer that was there at once: the loop below goes on with the next
        self._running = True
        queue = self._queue
        while queue and not self._answering and not self._writing_paused:
            found, headers, body, keep, response = queue.popleft()
            if response is not None:
                self._respond(found, keep, response)
            else:
                self._begin(found, headers, body, keep)
        self._running = False
        if self._owes_continue:
            self._pay_continue()
        if self._reading_paused and not queue and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    async def _answer(self, found: Found, headers: Mapping[bytes, bytes], body: bytes, keep: bool) -> None:  # noqa: FBT001
        response = await self._rest.answer(found, headers, body)
        self._work = None
        self._respond(found, keep, response)
        if self._queue or self._reading_paused or self._owes_continue:
            self._run()

    def _respond(self, found: Found, keep: bool, response: Response) -> None:  # noqa: FBT001
        self._answering = False
        transport = self._transport
        if self._ending and not self._queue:
            keep = False
        head = answer_head(response, self._connections.date, keep=keep)
        body = response.body
        if found.method == "HEAD":
            transport.write(head)
        elif len(body) < _LARGE:
            transport.write(head + body)
        else:
            transport.write(head)
            transport.write(body)
        if keep:
            self._until = self._connections.now + (_HEAD if self._in_head or self._in_body else _IDLE)
        else:
            self._hang_up()

    def _hang_up(self) -> None:
        """Close, when the caller has seen the answer: a reset because of bytes that nobody read would destroy it."""
        self._deaf = True
        self._queue.clear()
        if not self._in_body or self._ending:
            self._transport.close()
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        self._until = self._connections.now + _LINGER

    # ------------------------------------------------------------------ as a `Connection`

    def check(self, now: float) -> None:
        """Hang up on the slow."""
        if self._writing_paused:
            unwritten = self._transport.get_write_buffer_size()
            if unwritten < self._unwritten:
                self._unwritten, self._until = unwritten, now + _STALLED
            elif now > self._until:
                self._transport.abort()
        elif now > self._until and not self._answering:
            if (self._in_head or self._in_body) and not self._deaf:
                self._in_body = False  # it will not come
                self._refuse(_wrong("the request did not come to its end in time", status=408, code="TOO_SLOW"))
            else:
                self._transport.close()

    def drain(self) -> None:
        """Take nothing new."""
        self._ending = True
        if not self._answering and not self._queue and not self._in_body:
            self._transport.close()

    def abort(self) -> None:
        """Hang up, now."""
        self._transport.abort()


def _wrong(text: str, *, status: int = 400, code: str = "BAD_HTTP") -> RequestError:
    return RequestError(text, code=code, http_status=status, grpc_status="INVALID_ARGUMENT")
