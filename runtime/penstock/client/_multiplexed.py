"""One HTTP/2 connection that the tasks of an event loop share."""

from __future__ import annotations

import asyncio
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from ._shared import SILENCE

if TYPE_CHECKING:
    from penstock.http2.client import ClientConnection
    from penstock.http2.exchanges import Exchange, Request

_TICK: Final = 0.002  # seconds; uvloop's timers are whole milliseconds and may come early
_FAREWELL: Final = 1.0  # seconds for the end of TLS


class MultiplexedConnection(asyncio.Protocol):
    """Answers requests; those of one turn of the loop leave together."""

    def __init__(self, loop: asyncio.AbstractEventLoop, http2: ClientConnection) -> None:
        self._loop = loop
        self._http2 = http2
        self._ends: dict[Exchange, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._heard = 0.0
        self._is_flushing = False
        self._is_paused = False
        self._gone = loop.create_future()
        self._transport: asyncio.Transport

    @property
    def is_open(self) -> bool:
        """Whether it takes requests."""
        return self._http2.is_open

    @property
    def is_gone(self) -> bool:
        """Whether it holds no socket any more."""
        return self._gone.done()

    async def ask(self, request: Request, ends: float) -> Exchange:
        """Send a request and wait until ``ends`` (on the clock of `time.monotonic`) for what becomes of it: over."""
        http2 = self._http2
        is_alone = http2.is_idle
        exchange = http2.ask(request)
        exchange.waiter = waiter = self._loop.create_future()
        self._ends[exchange] = ends
        if ends < self._timer_at:
            self._set_timer(ends)
        if is_alone:
            self._heard = monotonic()
            self._flush()  # nobody to leave together with
        else:
            self._flush_soon()
        try:
            await waiter
        except asyncio.CancelledError:
            self._give_up(exchange)
            raise
        return exchange

    async def close(self) -> None:
        """End the connection, and every call that is still under way."""
        self._http2.lose("it was closed here")
        self._tell()
        self._transport.close()
        await asyncio.wait({self._gone}, timeout=_FAREWELL)
        self._transport.abort()

    # ------------------------------------------------------------------ what the loop calls

    def connection_made(self, transport: Any) -> None:
        """For the event loop."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """For the event loop."""
        http2 = self._http2
        self._heard = monotonic()
        http2.feed(data)
        while http2.more and not http2.ended:
            http2.feed(b"")
        self._tell()
        self._flush()
        if not http2.is_open:
            self._hang_up()

    def pause_writing(self) -> None:
        """For the event loop."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """For the event loop."""
        self._is_paused = False
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """For the event loop."""
        self._http2.lose(getattr(error, "strerror", None) or str(error or "the service closed it"))
        self._tell()
        if self._timer is not None:
            self._timer.cancel()
        if not self._gone.done():
            self._gone.set_result(None)

    # ------------------------------------------------------------------ sending and telling

    def _flush_soon(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        while not self._is_paused and (out := self._http2.to_send()):
            if len(out) == 1:
                self._transport.write(out[0])
            else:
                self._transport.writelines(out)

    def _tell(self) -> None:
        over = self._http2.over
        if over:
            self._http2.over = []
            for exchange in over:
                self._ends.pop(exchange, None)
                if not exchange.waiter.done():
                    exchange.waiter.set_result(None)

    def _give_up(self, exchange: Exchange) -> None:
        self._ends.pop(exchange, None)
        self._http2.give_up(exchange)
        self._flush_soon()
        if not self._http2.is_open:
            self._hang_up()

    def _hang_up(self) -> None:
        """After a GOAWAY, or what is as good: when everybody has their answer."""
        if self._http2.is_idle:
            self._flush()
            self._transport.close()

    # ------------------------------------------------------------------ deadlines: one timer for all of them

    def _set_timer(self, ends: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = ends
        self._timer = self._loop.call_later(max(0.0, ends - monotonic()), self._time_out)

    def _time_out(self) -> None:
        self._timer, self._timer_at = None, inf
        now = monotonic() + _TICK
        for exchange in [exchange for exchange, ends in self._ends.items() if ends <= now]:
            if now - self._heard > SILENCE:
                self._http2.is_leaving = True
            self._give_up(exchange)
            if not exchange.waiter.done():
                exchange.waiter.set_result(None)
        if self._ends:
            self._set_timer(min(self._ends.values()))
