"""The server's side of one connection, RFC 9113.

`Connection.feed` takes bytes and tells the application of each request that is complete; `Connection.answer` queues
an answer. Bytes to send are in ``sender.out``.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from . import frames
from .endpoint import Endpoint
from .failures import ConnectionFailed, StreamFailed
from .field_blocks import FieldDecoder, TooLarge
from .frames import Code, Setting
from .request_fields import malformed, trailers_malformed
from .streams import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from .endpoint import Budget
    from .field_blocks import Fields
    from .limits import Limits


class Kept(Protocol):
    """What an application keeps of a request's fields."""

    @property
    def follows(self) -> bool:
        """Whether the body is taken as it comes: `Application.begin` is called before it."""

    @property
    def most(self) -> int:
        """Bytes that ``content-length`` may say; more is refused at once."""


class Application(Protocol):
    """What stands behind a connection.

    Attributes:
        varying: name of a field that is another in each request: it is in ``stream.varied``, not among the fields.
    """

    varying: bytes | None

    def head(self, fields: Fields) -> Kept:
        """What is kept of a request's fields, made once for all requests that have the same."""

    def begin(self, stream: Stream) -> None:
        """The head of a request is there whose body follows: set ``stream.reader``."""

    def request(self, stream: Stream) -> None:
        """A request is complete: answer it, now or later, by `Connection.answer`."""

    def growing(self, stream: Stream) -> int:
        """Much of a body has come: its size, as far as its start tells that, else 0; ``stream.lead`` may be set.

        Where it is not wanted, call `Connection.refuse_body`.
        """

    def refuse(self, stream: Stream) -> None:
        """A body is too large; or the fields are, then there is no ``stream.head``: answer that."""

    def gone(self, stream: Stream) -> None:
        """The peer does not want the answer any more."""


class Head(NamedTuple):
    """A header block.

    Attributes:
        fields: its fields.
        length: see `malformed`.
        made: the application's own; None where this is no request.
        is_simple: a request like most: its body is wanted, and taken when it is complete.
    """

    fields: Fields
    length: int | None
    made: Any
    is_simple: bool


class Connection(Endpoint):
    """Frames in, requests out; answers in, frames out."""

    def __init__(
        self,
        application: Application,
        limits: Limits,
        clock: Callable[[], float] = monotonic,
        budget: Budget | None = None,
    ) -> None:
        super().__init__(limits, frames.PREFACE, clock, budget)
        self._application = application
        self._decoder = FieldDecoder(4096, limits.list, self._head, application.varying)
        self._last_accepted: int | None = None
        self._now = self._heard_at = clock()
        self._cut_at: float | None = None
        self.sender.out.append(
            self._greeting(
                {
                    Setting.MAX_CONCURRENT_STREAMS: limits.streams,
                    Setting.INITIAL_WINDOW_SIZE: limits.window,
                    Setting.MAX_FRAME_SIZE: limits.frame,
                    Setting.MAX_HEADER_LIST_SIZE: limits.list,
                }
            )
        )

    # ------------------------------------------------------------------ requests

    def _on_headers(self, flags: int, number: int, data: bytes, start: int, stop: int) -> None:
        # The way of nearly all calls: a block that came before, of a request that opens a stream and has a body.
        if flags == frames.END_HEADERS and number > self._highest and number & 1:
            known: tuple[Head, bytes | None] | None = self._decoder.known.get(data[start:stop])
            if (
                known is not None
                and known[0].is_simple
                and self._last_accepted is None
                and len(self.streams) < self._limits.streams
            ):
                self._highest = number
                head, varied = known
                stream = Stream(number, head.made, self.sender.initial, self._limits.window, self._now)
                stream.is_simple = True
                stream.varied = varied
                if head.length is not None:
                    stream.expected = head.length
                self.streams[number] = stream
                return
        super()._on_headers(flags, number, data, start, stop)

    def _whole(self, stream: Stream) -> None:
        self._application.request(stream)

    def _block_over(self, flags: int, number: int, block: bytes) -> None:
        try:
            head: Head | None = self._decoder.decode(block)
        except TooLarge:
            head = None
            self._bother()
        if number <= self._highest:
            self._trailers(flags, number, head)
            return
        self._highest = number
        if self._last_accepted is not None:
            self._remember_reset(number)
            return  # after GOAWAY: the peer knows that these are not done
        if len(self.streams) >= self._limits.streams:
            raise StreamFailed(number, Code.REFUSED_STREAM)
        stream = Stream(number, head and head.made, self.sender.initial, self._limits.window, self._now)
        stream.varied = self._decoder.varied
        self.streams[number] = stream
        if head is None:
            self._application.refuse(stream)
            return
        if head.length is not None and not self._expect(stream, head):
            return
        if head.made.follows:
            self._application.begin(stream)
        if flags & frames.END_STREAM:
            self._complete(stream)

    def _expect(self, stream: Stream, head: Head) -> bool:
        """Take note of ``content-length``; whether the body is wanted."""
        if head.made is None or head.length is None:
            raise StreamFailed(stream.number, Code.PROTOCOL_ERROR)
        stream.expected = head.length
        if head.length > head.made.most:
            self.refuse_body(stream)
            return False
        return True

    def _head(self, fields: Fields) -> Head:
        length = malformed(fields)
        if length is not None and length < 0:
            return Head(fields, length, None, is_simple=False)
        made = self._application.head(fields)
        return Head(fields, length, made, is_simple=not made.follows and (length is None or length <= made.most))

    def _trailers(self, flags: int, number: int, head: Head | None) -> None:
        stream = self.streams.get(number)
        if stream is None or stream.has_all:
            if stream is None and number in self._reset:
                return
            raise ConnectionFailed(Code.STREAM_CLOSED, "HEADERS on a stream that is closed")
        if not flags & frames.END_STREAM or head is None or trailers_malformed(head.fields):
            raise StreamFailed(number, Code.PROTOCOL_ERROR)
        self._complete(stream)

    def _complete(self, stream: Stream) -> None:
        stream.has_all = True
        if self._unfinished:
            self._count_unfinished(-2)  # ended one that was begun, and shows that more will end
        self._free(stream.held)
        if stream.reader is not None:
            stream.reader(stream)
        elif stream.expected >= 0 and stream.expected != stream.size:
            self._reset_stream(stream.number, Code.PROTOCOL_ERROR)
        else:
            self._application.request(stream)

    def _growing(self, stream: Stream) -> int:
        return self._application.growing(stream) or max(0, stream.expected)

    def refuse_body(self, stream: Stream) -> None:
        """Have a request refused, and pass over what comes of it."""
        self._application.refuse(stream)
        stream.reader = self.taken  # what still comes
        self.taken(stream)

    def _gone(self, stream: Stream) -> None:
        self._application.gone(stream)

    # ------------------------------------------------------------------ answers

    # A header block must leave in the order in which it was encoded, so it is not, where nobody wants it any more.

    def answer(
        self, stream: Stream, fields: Fields, more: bytes, lead: bytes, body: bytes, trailers: bytes | None = None
    ) -> None:
        """Queue an answer; nothing happens where the peer has given up.

        Args:
            stream: whose.
            fields: that begin many answers.
            more: fields behind these, as part of a header block.
            lead: the first bytes of the body.
            body: the rest of it; both may be empty.
            trailers: header block behind the body, of literals; None where there is none.
        """
        number = stream.number
        if self.streams.get(number) is not stream:
            return
        head = self.encoder.encode(fields)
        if self.sender.send(stream, head + more if more else head, lead, body, trailers):
            if stream.has_all:
                del self.streams[number]
            else:
                self._sent(stream)

    def part(self, stream: Stream, fields: Fields, body: bytes) -> None:
        """Queue a part of an answer that goes on; ``fields`` stand before the first."""
        if self.streams.get(stream.number) is not stream:
            return
        if stream.unsent is not None and stream.unsent.size > self._limits.block:
            self._reset_stream(stream.number, Code.ENHANCE_YOUR_CALM)
            return
        head = b"" if stream.has_begun else self.encoder.encode(fields)
        stream.has_begun = True
        self.sender.part(stream, head, body)

    def finish(self, stream: Stream, fields: Fields, trailers: bytes) -> None:
        """End an answer that went out in parts; where there were none, ``fields`` stand before the trailers."""
        if self.streams.get(stream.number) is not stream:
            return
        if not stream.has_begun:
            self.answer(stream, fields, trailers, b"", b"")
        elif self.sender.finish(stream, trailers):
            self._sent(stream)

    def reset(self, stream: Stream, code: Code) -> None:
        """Give a request up."""
        if self.streams.get(stream.number) is stream:
            self._reset_stream(stream.number, code)

    def _sent(self, stream: Stream) -> None:
        if not stream.has_all:
            # RFC 9113, 8.1: the answer is complete without the rest of the request, which need not come.
            self.sender.out.append(frames.rst_stream(stream.number, Code.NO_ERROR))
        self._forget(stream)

    # ------------------------------------------------------------------ time

    def tick(self, now: float) -> None:
        """Look for what takes too long; to be called every second or so, with the clock's time."""
        self._now = now
        if self.ended:
            return
        limits = self._limits
        try:
            self._look_at_frames(now)
            for stream in list(self.streams.values()):
                if _takes_too_long(stream, now, limits):
                    self._reset_stream(stream.number, Code.CANCEL)
        except ConnectionFailed as failed:
            self.fail(failed.code, failed.reason)

    def _look_at_frames(self, now: float) -> None:
        if self._moved:
            self._moved = False
            self._heard_at = now
        if self._has_settings and self._block is None and not self._rest:
            self._cut_at = None
            if not self.streams and now - self._heard_at > self._limits.idle:
                self.fail(Code.NO_ERROR, "nothing was asked for long")
        elif self._cut_at is None or (self._block is None and self._heard_at == now and self._has_settings):
            self._cut_at = now
        elif now - self._cut_at > self._limits.opening:
            raise ConnectionFailed(Code.PROTOCOL_ERROR, "a frame that takes too long to come")

    # ------------------------------------------------------------------ the end

    def lost(self) -> None:
        """Give all streams up, as the transport is gone; called once, and nothing is fed after it.

        What refers to itself would stay until the garbage collector looks, which then holds everybody up: 5 ms for
        each 200 connections.
        """
        self.abandon()
        self._handlers = self._ready = self._in_block = ()
        del self._application, self._decoder

    def go_away(self) -> None:
        """Take no new requests; those that came are answered."""
        if self._last_accepted is None and not self.ended:
            self._last_accepted = self._highest
            self.sender.out.append(frames.goaway(self._highest, Code.NO_ERROR, "the server stops"))


def _takes_too_long(stream: Stream, now: float, limits: Limits) -> bool:
    """Whether a request drips, or an answer is not taken."""
    if not stream.has_all and stream.reader is None:
        return now - stream.opened > limits.request + stream.size / limits.slowest
    if stream.unsent is None:
        return False
    left = stream.unsent.size
    if stream.seen is None or stream.seen[0] != left:
        stream.seen = (left, now)
    return now - stream.seen[1] > limits.stall
