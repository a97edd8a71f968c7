"""HTTP/1.1, RFC 9112: one connection, its requests answered one after the other.

A caller's requests begin with the same bytes again and again. So a head that has been read is kept, with what was
found in it, by its very bytes; a request that begins with one of these is not parsed at all.

What one read of the socket brings is worked off in turns, between which others are served: thousands of requests fit
in one read. Nothing is read while a request waits for the one before it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from penstock.proto import Overloaded, PenstockError

from .answer_heads import answer_head
from .chunks import Chunks
from .http1_heads import CHUNKED, read_head, refusal
from .stepping import Steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.http2.gathered import Gathered

    from .connections import Connections
    from .exchange import Response, Short, Underway
    from .rest import Found, Rest

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_HEAD_END: Final = b"\r\n\r\n"
# A request's line and headers together; nginx takes 32 KiB.
_MOST_HEAD_BYTES: Final = 64 * 1024
# Heads that are kept: how many, and how long they may be.
_MOST_KNOWN: Final = 1024
_LONGEST_KNOWN: Final = 2048
# Requests of one connection before others have their turn, and chunks for one: a tenth of a millisecond.
_TURN: Final = 8
_TURN_CHUNKS: Final = 8
# From so many bytes on a body has one piece of memory, once of this many parts of it one has come: whoever only
# announces a body gets none.
_LONG: Final = 128 * 1024
_SHARE: Final = 4
# Bytes of bodies that are not complete, on all connections together.
_MOST_HELD: Final = 256 * 1024 * 1024
# From here on a body is written by itself: cheaper than to copy it behind its head.
_LARGE: Final = 32 * 1024
# How long a peer may take, seconds: between requests as nginx; for a head and for a body as Apache's
# mod_reqtimeout, a body that comes with at least so many bytes a second may take longer.
_IDLE, _HEAD, _BODY, _BODY_RATE = 75.0, 20.0, 20.0, 500.0
# Without taking a byte of an answer, and while what nobody wants is read on so that the answer is not lost.
_STALLED, _LINGER = 30.0, 10.0


class Asked(NamedTuple):
    """A request but for its body.

    Attributes:
        found: what answers it.
        headers: names in lower case; of a repeated one the last.
        length: bytes of the body, or `CHUNKED`.
        keep: whether more requests may follow on the connection.
        short: the short way to answer.
    """

    found: Found
    headers: Mapping[bytes, bytes]
    length: int
    keep: bool
    short: Short | None


class Http1Door:
    """What all connections share."""

    def __init__(self, rest: Rest, connections: Connections) -> None:
        self.rest = rest
        self.connections = connections
        self.known: dict[bytes, Asked] = {}
        self.held = 0  # bytes of bodies that are not complete

    def __call__(self) -> Http1:
        """A protocol for one more connection."""
        return Http1(self)

    def learn(self, text: bytes, asked: Asked) -> None:
        """Keep what was found in a head."""
        if len(self.known) >= _MOST_KNOWN:
            self.known.clear()
        self.known[text] = asked


class Http1(asyncio.Protocol):
    """One connection."""

    def __init__(self, door: Http1Door) -> None:
        self._door = door
        self._rest = door.rest
        self._connections = door.connections
        self._known = door.known
        self._most_bytes = door.rest.limits.message_bytes
        self._transport: asyncio.Transport
        self._data, self._at = b"", 0  # what was read, and how much of it is done
        self._asked: Asked | None = None  # whose body is coming
        self._chunks: Chunks | None = None
        self._pieces: list[bytes | bytearray] = []
        self._gathered: Gathered | None = None  # what was in the pieces, and what is still to come
        self._size = 0
        self._held = 0  # of the door's
        self._refused: Response | None = None  # what is told when those before are answered
        self._waiting: tuple[Asked, bytes] | None = None  # for those before to be answered
        self._owes_continue = False
        self._lingers = False
        self._work: Underway | None = None
        self._is_answering = self._is_going_on = self._is_waiting = False  # the last: for a turn
        self._writing_paused = self._reading_paused = False
        self._deaf = False  # what comes is thrown away
        self._ending = False  # what has come is answered, and nothing more is wanted
        self._unwritten = 0
        self._until = self._connections.now + _IDLE

    # ------------------------------------------------------------------ the transport's calls

    def connection_made(self, transport: Any) -> None:
        """Called by the event loop."""
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """Called by the event loop: whoever asked, and has closed at least its half, does not wait."""
        self._connections.discard(self)
        self._deaf = True
        self._waiting = None
        self._data, self._at = b"", 0
        self._hold(-self._held)
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
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if self._deaf and not self._lingers:
            return
        if not (self._is_answering or self._data or self._asked is not None or self._writing_paused):
            # Almost every read: one request, whole, that begins as one before.
            end = data.find(_HEAD_END)
            asked = self._known.get(data[:end]) if end > 0 else None
            if asked is not None and end + len(_HEAD_END) + asked.length == len(data):
                self._begin(asked, data[end + len(_HEAD_END) :])
                return
        self._data = self._data[self._at :] + data if self._data else data
        self._at = 0
        self._go_on()

    # ------------------------------------------------------------------ turns

    def _go_on(self) -> None:
        """Work off what was read, for one turn."""
        if self._is_going_on or self._is_waiting:
            return  # called from an answer that was there at once: the loop below goes on, or does when it is its turn
        self._is_going_on = True
        turns = _TURN
        while turns and self._step():
            turns -= 1
        self._is_going_on = False
        if self._at >= len(self._data):
            self._data, self._at = b"", 0
        if not turns:
            self._pause_reading()
            self._is_waiting = True
            self._connections.turns.ask(self._take_turn)
        elif self._waiting is not None or self._writing_paused:
            self._pause_reading()
        elif self._reading_paused and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    def _take_turn(self) -> None:
        self._is_waiting = False
        if not self._transport.is_closing():
            self._go_on()

    def _pause_reading(self) -> None:
        if not self._reading_paused and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def _step(self) -> bool:
        """One request, or one part of it, further; whether there may be more to do."""
        if self._is_answering or self._writing_paused:
            if self._waiting is not None or self._refused is not None:
                return False
        elif self._waiting is not None:
            (asked, body), self._waiting = self._waiting, None
            self._begin(asked, body)
            return True
        elif self._refused is not None:
            response, self._refused = self._refused, None
            self._respond(response, is_head=False, keep=False)
            return True
        elif self._owes_continue:
            self._owes_continue = False
            self._transport.write(_CONTINUE)
        if self._at >= len(self._data):
            return False
        try:
            return self._read()
        except PenstockError as error:
            self._refuse(error)
            return True

    def _read(self) -> bool:
        if self._chunks is not None:
            return self._read_chunks(self._chunks)
        if self._asked is not None:
            return self._read_body(self._asked)
        if self._deaf:
            self._at = len(self._data)
            return False
        return self._read_head()

    # ------------------------------------------------------------------ heads

    def _read_head(self) -> bool:
        data, at = self._data, self._at
        end = data.find(_HEAD_END, at, at + _MOST_HEAD_BYTES)
        if end < 0:
            return self._wait_for_head(data, at)
        asked = self._known.get(data[at:end])
        self._at = start = end + len(_HEAD_END)
        if asked is None:
            return self._parse(data[at:start])
        stop = start + asked.length
        if stop <= len(data):
            self._at = stop
            self._take(asked, data[start:stop])
        else:
            self._begin_body(asked)
        return True

    def _wait_for_head(self, data: bytes, at: int) -> bool:
        if len(data) - at >= _MOST_HEAD_BYTES:
            raise refusal(
                f"the headers have more than {_MOST_HEAD_BYTES:,} bytes", status=431, code="HEADERS_TOO_LARGE"
            )
        _check_lines(data[at:])
        if not at and not self._is_answering and self._until > self._connections.now + _HEAD:
            self._until = self._connections.now + _HEAD
        return False

    def _parse(self, text: bytes) -> bool:
        if text == _HEAD_END:
            return True  # RFC 9112, 2.2: empty lines before a request are nothing
        _check_lines(text)
        head = read_head(text)
        found = self._rest.find(head.method, head.target)
        short = self._rest.short(found, head.headers) if head.keep else None
        asked = Asked(found, head.headers, head.length, head.keep, short)
        if head.length > self._most_bytes:
            self._begin_body(asked)
            self._lingers = not head.expects
            self._rest.limits.check_bytes(head.length)
        if head.expects and head.length:
            return self._expected(asked)
        if head.keep and head.length >= 0 and len(text) <= _LONGEST_KNOWN:
            self._door.learn(text[: -len(_HEAD_END)], asked)
        if head.length:
            self._begin_body(asked)
        else:
            self._take(asked, b"")
        return True

    def _expected(self, asked: Asked) -> bool:
        """The caller waits for a word before it sends the body (RFC 9110, 10.1.1)."""
        if asked.found.wants_body:
            self._begin_body(asked)
            self._owes_continue = True
        else:
            self._take(asked._replace(keep=False), b"")  # answered now: the body will not come
        return True

    # ------------------------------------------------------------------ bodies

    def _begin_body(self, asked: Asked) -> None:
        self._asked = asked
        self._size = 0
        self._pieces, self._gathered = [], None
        self._chunks = Chunks() if asked.length == CHUNKED else None
        self._until = self._connections.now + _BODY

    def _read_body(self, asked: Asked) -> bool:
        data, at = self._data, self._at
        stop = min(len(data), at + asked.length - self._size)
        self._at = stop
        self._size += stop - at
        if self._deaf:
            return self._passed_over(is_over=self._size == asked.length)
        self._progress(stop - at)
        piece = data if stop - at == len(data) else data[at:stop]
        if self._gathered is not None:
            self._gathered.take(piece, len(piece))
        else:
            self._hold(len(piece))
            self._keep_piece(piece)
            self._look_ahead(asked.length)
        if self._size == asked.length:
            self._take(asked, self._body())
        return True

    def _look_ahead(self, length: int) -> None:
        """Have a long body in one piece of memory, once enough of it has come: its pieces would take as much again."""
        missing = length - self._size
        if self._size < _LONG or not 0 < missing <= min(self._size * (_SHARE - 1), _MOST_HELD - self._door.held):
            return
        # Imported when one comes: a start should be short.
        from penstock.http2.gathered import Gathered

        self._hold(missing)
        self._gathered = Gathered(length)
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            self._gathered.take(piece, len(piece))

    def _body(self) -> bytes:
        gathered, self._gathered = self._gathered, None
        pieces, self._pieces = self._pieces, []
        if gathered is not None:
            return gathered.whole()
        return pieces[0] if len(pieces) == 1 and type(pieces[0]) is bytes else b"".join(pieces)

    def _hold(self, size: int) -> None:
        self._held += size
        self._door.held += size
        if size > 0 and self._door.held > _MOST_HELD:
            self._lingers = True
            raise Overloaded(f"bodies of {_MOST_HELD:,} bytes are on their way already; try again")

    def _keep_piece(self, piece: bytes) -> None:
        """Many small pieces become one: each by itself takes more room for itself than for its bytes."""
        pieces = self._pieces
        if len(piece) >= 4096 or not pieces:
            pieces.append(piece)
        elif type(pieces[-1]) is bytearray:
            pieces[-1] += piece
        else:
            pieces.append(bytearray(piece))

    def _read_chunks(self, chunks: Chunks) -> bool:
        before = self._at
        self._at = chunks.feed(self._data, before, _TURN_CHUNKS)
        if self._deaf:
            chunks.body.clear()
            return self._passed_over(is_over=chunks.is_over)
        self._progress(self._at - before)
        self._hold(len(chunks.body) - self._held)
        if len(chunks.body) > self._most_bytes:
            self._lingers = True
            self._rest.limits.check_bytes(len(chunks.body))
        if chunks.is_over and self._asked is not None:
            self._take(self._asked, bytes(chunks.body))
        return True

    def _progress(self, size: int) -> None:
        self._until = min(self._until + size / _BODY_RATE, self._connections.now + _BODY)
        self._owes_continue = False

    def _passed_over(self, *, is_over: bool) -> bool:
        """A part of what was refused."""
        if is_over:
            self._lingers = False
            self._transport.close()
        return not is_over

    # ------------------------------------------------------------------ answers

    def _take(self, asked: Asked, body: bytes) -> None:
        """A request is complete: answer it when the one before it is answered."""
        self._asked = self._chunks = None
        if self._held:
            self._hold(-self._held)
        if not asked.keep:
            self._deaf = True
        if self._is_answering or self._writing_paused:
            self._waiting = asked, body
        else:
            self._begin(asked, body)

    def _begin(self, asked: Asked, body: bytes) -> None:
        self._is_answering = True
        if asked.short is not None:
            self._work = asked.short(body, self._answered)
            if self._work is not None:
                return
        work = Steps(self._answer(asked, body))
        self._work = None if work.done else work

    async def _answer(self, asked: Asked, body: bytes) -> None:
        found = asked.found
        response = await self._rest.answer(found, asked.headers, body)
        self._answered(response, is_head=found.method == "HEAD", keep=asked.keep)

    def _answered(self, response: Response, *, is_head: bool = False, keep: bool = True) -> None:
        self._work = None
        self._is_answering = False
        self._respond(response, is_head=is_head, keep=keep)
        if self._reading_paused or self._data or self._owes_continue or self._refused is not None:
            self._go_on()

    def _refuse(self, error: PenstockError) -> None:
        """Answer when those before are answered, and listen to nothing more."""
        if self._deaf:  # it is refused already, and even what is thrown away is wrong
            self._transport.close()
            return
        self._deaf = True
        self._pieces, self._gathered = [], None
        self._hold(-self._held)
        asked = self._asked
        if not self._lingers:
            self._asked = self._chunks = None
        found = asked.found if asked is not None else self._rest.find(b"", b"/")
        self._refused = self._rest.refuse(found, asked.headers if asked is not None else {}, error)

    def _respond(self, response: Response, *, is_head: bool, keep: bool) -> None:
        transport = self._transport
        if self._ending and self._waiting is None and self._data.find(_HEAD_END, self._at) < 0:
            keep = False
        head = answer_head(response, self._connections.date, keep=keep)
        body = response.body
        if is_head:
            transport.write(head)
        elif len(body) < _LARGE:
            transport.write(head + body)
        else:
            transport.write(head)
            transport.write(body)
        if keep:
            self._until = self._connections.now + (_IDLE if self._asked is None else _BODY)
        else:
            self._hang_up()

    def _hang_up(self) -> None:
        """Close, when the caller has seen the answer: a reset because of bytes that nobody read would destroy it."""
        self._deaf = True
        self._waiting = None
        if not self._lingers:
            self._transport.close()
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
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
        elif now > self._until and not self._is_answering:
            if (self._data or self._asked is not None) and not self._deaf:
                self._lingers = self._asked is not None
                self._refuse(refusal("the request did not come to its end in time", status=408, code="TOO_SLOW"))
                self._go_on()
            else:
                self._transport.close()

    def drain(self) -> None:
        """Take nothing new."""
        self._ending = True
        if not self._is_answering and self._asked is None and not self._reading_paused:
            self._transport.close()

    def abort(self) -> None:
        """Hang up, now."""
        self._transport.abort()


def _check_lines(head: bytes) -> None:
    # Told before the head is complete: one whose lines end in LF alone never is.
    if head.count(b"\n") != head.count(b"\r\n"):
        raise refusal("a line of the head does not end in CR LF")
