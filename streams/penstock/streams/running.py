"""A worker as a program: signals, log lines, progress."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from .engine import worker as worker_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .engine import Worker
    from .spec import Stream

_log = logging.getLogger("penstock.streams")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_NOT_AGAIN = 10.0
# New objects before the collector looks at them, and how often it then looks at older ones.
_COLLECT_AFTER = (100_000, 20, 50)
# They repeat in many lines what the stream tells in one.
_TALKATIVE = ("faust", "mode", "aiokafka", "penstock.streams.faust_app", "penstock.streams.faust_transport")


def run_worker(
    stream: Stream,
    *,
    make: Callable[[], Worker] | None = None,
    metrics_port: int | None = None,
    interval: float = 5.0,
    verbose: bool = False,
) -> None:
    """Run a worker in this process until SIGTERM or SIGINT.

    Args:
        stream: its spec.
        make: makes the worker; by default one of the stream's engine.
        metrics_port: of 127.0.0.1, for Prometheus; None shows none.
        interval: seconds between two lines of progress.
        verbose: whether Faust, aiokafka and librdkafka log, too.

    Raises:
        PenstockError: it cannot start, or cannot go on.
    """
    _set_up_log(verbose=verbose)
    asyncio.run(_run(stream, make or (lambda: worker_of(stream)), metrics_port, interval))


async def _run(stream: Stream, make: Callable[[], Worker], metrics_port: int | None, interval: float) -> None:
    worker = make()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, worker.stop)
    if metrics_port is not None:
        _log.info("metrics on http://127.0.0.1:%d/metrics", worker.metrics.serve(metrics_port))
    _log.info("starting %s: %s", stream.name, _route(stream))
    progress = asyncio.create_task(_tell(worker, interval))

    def ready() -> None:
        _spare_the_collector()
        _log.info("ready: group %s at %s", stream.kafka.group, stream.kafka.bootstrap)

    try:
        await worker.run(ready)
    finally:
        progress.cancel()
        with suppress(asyncio.CancelledError):
            await progress
    totals = worker.metrics.totals()
    _log.info(
        "stopped: %s records, %s results, %s dead letters",
        *(f"{totals[name]:,}" for name in ("acknowledged", "results", "dead_letters")),
    )


def _spare_the_collector() -> None:
    """Records come and go by the thousand, none of them in a cycle: looking for cycles takes a fifth of the time."""
    gc.collect()
    gc.freeze()  # what is there now stays
    gc.set_threshold(*_COLLECT_AFTER)


def _route(stream: Stream) -> str:
    via = stream.service.address or f"{stream.service.model}"
    return f"{stream.source.topic} → {via} → {stream.sink.topic} (dead letters: {stream.dead_letter})"


async def _tell(worker: Worker, interval: float) -> None:
    """One line now and then: a line that is renewed in a terminal, else one of the log where something has come."""
    live = sys.stderr.isatty()
    before, last = worker.metrics.totals(), monotonic()
    while True:
        await asyncio.sleep(1.0 if live else interval)
        now, totals = monotonic(), worker.metrics.totals()
        line = _progress(before, totals, now - last)
        if live:
            sys.stderr.write(f"\r\x1b[2K{line}")
            sys.stderr.flush()
        elif totals != before:
            _log.info("%s", line)
        before, last = totals, now


def _progress(before: dict[str, int], now: dict[str, int], seconds: float) -> str:
    rate = (now["acknowledged"] - before["acknowledged"]) / seconds
    calls = now["calls"] - before["calls"]
    batch = (now["records"] - before["records"]) / calls if calls else 0.0
    return (
        f"{rate:,.0f} records/s, {batch:,.0f} records a call; {now['acknowledged']:,} done, "
        f"{now['dead_letters']:,} dead letters"
    )


class _NotAgain(logging.Filter):
    """Passes what others log once in ten seconds: 50 lines a second while a broker is away, 13 for one bad record."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("penstock.streams"):
            return True
        now = monotonic()
        if now - self._said.get(str(record.msg), -_NOT_AGAIN) < _NOT_AGAIN:
            return False
        self._said[str(record.msg)] = now
        return True


class _Lines(logging.StreamHandler):  # type: ignore[type-arg]
    """Log lines that leave the renewed line of a terminal first."""

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream.isatty():
            self.stream.write("\r\x1b[2K")
        super().emit(record)


def _set_up_log(*, verbose: bool) -> None:
    handler = _Lines(sys.stderr)
    if not verbose:
        handler.addFilter(_NotAgain())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if verbose else logging.WARNING)
    _log.setLevel(logging.INFO)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.INFO if verbose else logging.ERROR)
    # It calls everything an error, also what it gets over; what it does not comes back from the calls.
    logging.getLogger("penstock.librdkafka").setLevel(logging.INFO if verbose else logging.CRITICAL + 1)
