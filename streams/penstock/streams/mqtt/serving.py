"""A worker of the MQTT door as a program: signals, log lines, progress."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from .worker import Worker

if TYPE_CHECKING:
    from .settings import ServerSettings

_log = logging.getLogger("penstock.streams.mqtt")


def run_server(settings: ServerSettings, *, name: str, metrics_port: int | None = None, interval: float = 5.0) -> None:
    """Run a worker in this process until SIGTERM or SIGINT.

    Args:
        settings: of the service.
        name: of this worker.
        metrics_port: of 127.0.0.1, for Prometheus; None shows none.
        interval: seconds between two lines of progress.

    Raises:
        PenstockError: it cannot start, or cannot go on.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    streams = logging.getLogger("penstock.streams")
    streams.handlers[:] = [handler]
    streams.setLevel(logging.INFO)
    asyncio.run(_run(settings, name, metrics_port, interval))


async def _run(settings: ServerSettings, name: str, metrics_port: int | None, interval: float) -> None:
    worker = Worker(settings, name)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, worker.stop)
    if metrics_port is not None:
        _log.info("metrics on http://127.0.0.1:%d/metrics", worker.metrics.calls.serve(metrics_port))
    _log.info("starting %s, worker %s: %s", settings.id, name, _route(settings))
    progress = asyncio.create_task(_tell(worker, interval))
    try:
        await worker.run(lambda: _log.info("ready at %s:%d", settings.broker.host, settings.broker.port))
    finally:
        progress.cancel()
        with suppress(asyncio.CancelledError):
            await progress
    totals = worker.metrics.totals()
    _log.info(
        "stopped: %s requests, %s replies, %s of them errors, %s duplicates",
        *(f"{totals[name]:,}" for name in ("requests", "replies", "errors", "duplicates")),
    )


def _route(settings: ServerSettings) -> str:
    models = ", ".join(f"{each.name} ({each.service.address or each.service.model})" for each in settings.models)
    return "; ".join(f"{pair.requests} → {models} → {pair.replies}" for pair in settings.pairs)


async def _tell(worker: Worker, interval: float) -> None:
    """A line of the log now and then, where something has come."""
    before, last = worker.metrics.totals(), monotonic()
    while True:
        await asyncio.sleep(interval)
        now, totals = monotonic(), worker.metrics.totals()
        if totals != before:
            rate = (totals["replies"] - before["replies"]) / (now - last)
            calls = totals["calls"] - before["calls"]
            batch = (totals["replies"] - before["replies"]) / calls if calls else 0.0
            _log.info(
                "%s requests/s, %s a call; %s answered, %s of them errors, %s duplicates",
                f"{rate:,.0f}",
                f"{batch:,.0f}",
                *(f"{totals[name]:,}" for name in ("replies", "errors", "duplicates")),
            )
        before, last = totals, now
