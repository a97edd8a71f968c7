"""One HTTP/2 connection that threads share, without a thread of its own.

Whoever waits for an answer reads for all: the first becomes the reader, hands answers to those they are for, and when
it has its own hands the reading on. A single caller so reads its answer itself, without any change of threads.
"""

from __future__ import annotations

import ssl
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final

from ._readiness import Readiness

if TYPE_CHECKING:
    import socket

    from penstock.http2.client import ClientConnection
    from penstock.http2.exchanges import Exchange, Request

_READ: Final = 1 << 16  # bytes; more than 128 KiB would be mapped and unmapped by the C library each time
_RECORD: Final = 1 << 14  # of TLS, which is read one at a time
_LATER: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
SILENCE: Final = 5.0  # seconds; a connection that was silent for so long while somebody waited in vain is given up


class SharedConnection:
    """Answers requests, from any number of threads.

    Attributes:
        is_closed: it holds no socket any more.
    """

    def __init__(self, connection: socket.socket, http2: ClientConnection) -> None:
        self._socket = connection
        self._http2 = http2
        self._full = _RECORD if isinstance(connection, ssl.SSLSocket) else _READ
        self._ready = Readiness(connection)
        self._lock = Lock()
        self._reader: Exchange | None = None
        self._others: dict[Exchange, None] = {}
        self._unsent: bytes | memoryview = b""
        self._heard = monotonic()
        self.is_closed = False

    def ask(self, request: Request, ends: float) -> Exchange | None:
        """Send a request and wait until ``ends`` (on the clock of `time.monotonic`) for what becomes of it.

        Returns:
            The exchange, which is over; None where the connection takes no more requests.
        """
        http2, turn = self._http2, None
        with self._lock:
            if self._reader is None:
                self._look()
            if not http2.is_open:
                if self._reader is None:
                    self._close()
                return None
            exchange = http2.ask(request)
            if self._reader is None:
                self._reader = exchange
            else:
                exchange.waiter = turn = Lock()
                turn.acquire()
                self._others[exchange] = None
            self._flush()
        try:
            if turn is not None:
                turn.acquire(timeout=max(0.0, ends - monotonic()))
            if self._reader is exchange:
                self._read_until(exchange, ends)
        finally:
            with self._lock:
                self._leave(exchange)
        return exchange

    def close(self) -> None:
        """End the connection, and every call that is still under way."""
        with self._lock:
            self._http2.lose("it was closed here")
            self._tell()
            if self._reader is None:
                self._close()
            else:
                self._ready.wake()

    # ------------------------------------------------------------------ the reader

    def _read_until(self, exchange: Exchange, ends: float) -> None:
        while not exchange.is_over:
            left = ends - monotonic()
            if left <= 0:
                return
            self._ready.wait(left)
            with self._lock:
                self._receive()

    def _leave(self, exchange: Exchange) -> None:
        self._others.pop(exchange, None)
        if not exchange.is_over:
            self._http2.give_up(exchange)
            if monotonic() - self._heard > SILENCE:
                self._http2.is_leaving = True
            self._flush()
        if self._reader is exchange:
            self._reader = next(iter(self._others), None)
            if self._reader is not None:
                del self._others[self._reader]
                turn, self._reader.waiter = self._reader.waiter, None
                turn.release()
        if self._reader is None and not self._http2.is_open:
            self._close()

    def _look(self) -> None:
        """What came while nobody was reading: a GOAWAY, or the end."""
        if not self.is_closed and self._ready.wait(0):
            self._receive()
        if self._http2.is_idle:
            self._heard = monotonic()

    # ------------------------------------------------------------------ the socket; with the lock

    def _receive(self) -> None:
        http2 = self._http2
        while not http2.ended:
            try:
                data = self._socket.recv(_READ)
            except _LATER:
                break
            except OSError as error:
                http2.lose(error.strerror or str(error))
                break
            if not data:
                http2.lose("the service closed it")
                break
            self._heard = monotonic()
            http2.feed(data)
            while http2.more and not http2.ended:
                http2.feed(b"")
            if len(data) < self._full:
                break
        self._flush()
        self._tell()

    def _flush(self) -> None:
        if self.is_closed:
            return
        try:
            # What was offered once must be offered again as it was: TLS has begun to encrypt it.
            while offered := self._unsent or b"".join(self._http2.to_send()):
                self._unsent = offered
                sent = self._socket.send(offered)
                self._unsent = b"" if sent == len(offered) else memoryview(offered)[sent:]
        except _LATER:
            self._ready.watch_writing()
            return
        except OSError as error:
            self._unsent = b""
            self._http2.lose(error.strerror or str(error))
            self._tell()
        self._ready.unwatch_writing()

    def _tell(self) -> None:
        over = self._http2.over
        if over:
            self._http2.over = []
            for exchange in over:
                if exchange.waiter is not None:
                    del self._others[exchange]
                    exchange.waiter.release()
                    exchange.waiter = None

    def _close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._socket.close()
            self._ready.close()
