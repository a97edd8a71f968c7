"""HTTP/2 on a connection, over `penstock.http2`: gRPC and REST."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from penstock.http2.connection import Connection
from penstock.http2.endpoint import Budget
from penstock.http2.field_blocks import literal
from penstock.http2.limits import Limits

from .grpc_head import GRPC, TIMEOUT
from .grpc_messages import PREFIX
from .grpc_status import Status

if TYPE_CHECKING:
    from penstock.http2.connection import Kept
    from penstock.http2.field_blocks import Fields
    from penstock.http2.frames import Code
    from penstock.http2.streams import Stream

    from .connections import Connections
    from .grpc_calls import GrpcCalls
    from .http2_rest import RestCalls

# Bytes that the transport holds before it says that the peer does not read.
_HIGH, _LOW = 1 << 18, 1 << 16
# Bytes of answers, and small frames, that wait for a peer that does not read, before we do not read either.
_HELD: Final = 1 << 20
_MOST_PIECES: Final = 1024
# Above, pieces are written one by one; below, it is cheaper to join them.
_JOINED: Final = 1 << 16
# Bytes of a connection that can wait that are read in one turn: 50 to 100 µs.
_PIECE: Final = 1 << 16
_BODIES: Final = 256 << 20  # bytes of all requests that are not complete, on all connections
_LINGER: Final = 0.3  # seconds in which the peer can close a connection that has been drained
_TOO_MANY_FIELDS: Final = (
    literal(b"content-type", GRPC) + Status("RESOURCE_EXHAUSTED", "the header fields are larger than allowed").block()
)


class Http2Door:
    """What all HTTP/2 connections of a service share."""

    def __init__(self, grpc: GrpcCalls, rest: RestCalls, message_bytes: int) -> None:
        self.grpc = grpc
        self.rest = rest
        self.limits = Limits(body=message_bytes + PREFIX)
        self.budget = Budget(_BODIES)


class Http2(asyncio.Protocol):
    """One connection."""

    varying: bytes | None = TIMEOUT

    def __init__(self, door: Http2Door, connections: Connections) -> None:
        self._door = door
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._flushing = False
        self._paused = self._deaf = self._draining = self._lingering = self._waits = False
        self._is_odd = False  # any of these
        self._unwritten = (0, 0.0)
        self._descriptor = -1
        self._transport: asyncio.Transport
        self._connection = Connection(self, door.limits, self._loop.time, door.budget)
        self._sender = self._connection.sender
        self.taken = self._connection.taken
        self.refuse_body = self._connection.refuse_body

    # ------------------------------------------------------------------ the transport's calls

    def connection_made(self, transport: Any) -> None:
        """Called by the event loop."""
        self._transport = transport
        transport.set_write_buffer_limits(_HIGH, _LOW)
        self._connections.add(self)
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """Called by the event loop: nobody waits any more."""
        self._connections.discard(self)
        if self._waits:
            self._connections.arrivals.forget(self._come)
        self._connection.lost()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        connection = self._connection
        self._flushing = True
        connection.feed(data)
        if (connection.more or connection.is_trying or connection.hoards) and not connection.ended:
            self._wait_for_turn()
        self._flush()

    def _wait_for_turn(self) -> None:
        """Leave the rest, and do not read on, until others have had their turn."""
        if self._waits:
            return
        self._waits = self._is_odd = True
        if not self._connection.more:
            self._descriptor = self._connections.arrivals.watch(self._transport, self._come)
            if self._descriptor >= 0:
                return
        self._come()

    def _come(self) -> None:
        """There is something to work off, or to read."""
        self._connections.turns.ask(self._go_on, patient=self._connection.is_trying)

    def _go_on(self) -> None:
        """Take what the last read has left, or a piece of what has come; or listen again, where neither is there."""
        self._waits = False
        if self._transport.is_closing():
            return
        data = b""
        if not self._connection.more and self._descriptor >= 0 and not self._is_stuck():
            with suppress(OSError):  # the transport will see it, too
                data = os.read(self._descriptor, _PIECE)
        if data or self._connection.more:
            self.data_received(data)
        else:
            self._flush()

    def pause_writing(self) -> None:
        """Called by the event loop: the peer does not read."""
        self._paused = self._is_odd = True
        self._sender.room = 0
        self._unwritten = (self._transport.get_write_buffer_size(), self._connections.now)

    def resume_writing(self) -> None:
        """Called by the event loop: the peer has read."""
        self._paused = False
        self._sender.room = self._door.limits.turn
        if not self._flushing:
            self._flush()

    def _flush(self) -> None:
        """Write what there is, as far as the peer reads."""
        connection, sender = self._connection, self._sender
        if not (sender.movable or self._is_odd or connection.ended):
            if sender.out:
                self._write()
            self._flushing = False
            return
        self._flushing = True  # the transport may call back
        while not self._transport.is_closing():
            if sender.movable:
                self._connection.pump()
            if not sender.out or (self._paused and not self._connection.ended):
                break
            self._write()
        self._flushing = False
        self._listen()
        self._is_odd = self._paused or self._deaf or self._draining or self._waits
        if self._connection.ended:
            self._transport.close()
        elif self._draining and not self._connection.streams and not self._lingering:
            self._lingering = True
            self._loop.call_later(_LINGER, self._transport.close)

    def _write(self) -> None:
        sender = self._sender
        out, sender.out = sender.out, []
        turn = self._door.limits.turn
        size, sender.room = turn - sender.room, turn
        if len(out) == 1:
            self._transport.write(out[0])
        elif size < _JOINED:
            self._transport.write(b"".join(out))
        else:
            self._transport.writelines(out)

    def _listen(self) -> None:
        """Read on, or not: who does not read, or has said a lot at once, waits.

        Answers that wait for a window are no reason: what opens the window has to be read.
        """
        deaf = self._waits or self._is_stuck()
        if deaf != self._deaf and not self._transport.is_closing():
            self._deaf = deaf
            if deaf:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _is_stuck(self) -> bool:
        """Whether the peer does not read, and enough waits for it."""
        return self._paused and (self._sender.held > _HELD or len(self._sender.out) > _MOST_PIECES)

    # ------------------------------------------------------------------ the connection's calls

    def head(self, fields: Fields) -> Kept:
        """Called by `Connection`."""
        calls = self._door.rest
        for name, value in fields:
            if name == b"content-type" and value.startswith(GRPC):
                return self._door.grpc.head(fields)
        return calls.head(fields)

    def begin(self, stream: Stream) -> None:
        """Called by `Connection`."""
        stream.head.calls.begin(self, stream)

    def request(self, stream: Stream) -> None:
        """Called by `Connection`."""
        stream.head.calls.request(self, stream)

    def growing(self, stream: Stream) -> int:
        """Called by `Connection`."""
        calls: GrpcCalls | RestCalls = stream.head.calls
        return calls.growing(self, stream)

    def refuse(self, stream: Stream) -> None:
        """Called by `Connection`."""
        if stream.head is not None:
            stream.head.calls.too_large(self, stream)
        else:
            self.answer(stream, ((b":status", b"431"),), _TOO_MANY_FIELDS, b"", b"")

    def gone(self, stream: Stream) -> None:
        """Called by `Connection`."""
        if stream.work is not None:
            stream.work.cancel()

    # ------------------------------------------------------------------ what answers call

    @property
    def date(self) -> bytes:
        """The field of that name, as part of a header block."""
        return literal(b"date", self._connections.date[6:-2])

    def answer(
        self, stream: Stream, fields: Fields, more: bytes, lead: bytes, body: bytes, trailers: bytes | None = None
    ) -> bool:
        """Queue a whole answer; False where too many wait already, then nothing is done.

        Args:
            stream: whose.
            fields: that begin many answers.
            more: fields behind these, as part of a header block.
            lead: the first bytes of the body.
            body: the rest of it.
            trailers: header block behind the body; None where there is none.
        """
        if self._sender.held and self._sender.held + len(body) > self._door.limits.held:
            return False
        self._connection.answer(stream, fields, more, lead, body, trailers)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        return True

    def part(self, stream: Stream, fields: Fields, body: bytes) -> None:
        """Queue a part of an answer; ``fields`` go before the first."""
        self._connection.part(stream, fields, body)
        self._flush()

    def finish(self, stream: Stream, fields: Fields, trailers: bytes) -> None:
        """End an answer that went out in parts, or had none: then ``fields`` go before the trailers."""
        self._connection.finish(stream, fields, trailers)
        self._flush()

    def reset(self, stream: Stream, code: Code) -> None:
        """Give a request up."""
        self._connection.reset(stream, code)

    # ------------------------------------------------------------------ as one of `Connections`

    def check(self, now: float) -> None:
        """Hang up on the slow, and give up what is too late."""
        if self._paused:
            unwritten = self._transport.get_write_buffer_size()
            if unwritten < self._unwritten[0]:
                self._unwritten = (unwritten, now)
            elif now - self._unwritten[1] > self._door.limits.stall:
                self._transport.abort()
                return
        connection = self._connection
        connection.tick(now)
        for stream in [stream for stream in connection.streams.values() if stream.varied is not None]:
            # Opened up to a second later than the clock of `Connections` says.
            if stream.head is not None and now - stream.opened - 1 > stream.head.calls.deadline(stream):
                stream.head.calls.expire(self, stream)
                if stream.work is not None:
                    stream.work.cancel()
        self._flush()

    def drain(self) -> None:
        """Take nothing new, answer what came."""
        self._draining = self._is_odd = True
        self._connection.go_away()
        self._flush()

    def abort(self) -> None:
        """Hang up, now."""
        self._transport.abort()
