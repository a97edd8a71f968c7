"""One process of a service: its event loop, its signals, and which of the ways to serve it takes."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine

    from .about import Reachable
    from .settings import Settings


def serve(settings: Settings, ready: Callable[[Reachable], None]) -> None:
    """Serve until SIGTERM or SIGINT, which may come while the model still loads; then drain.

    Raises:
        ModelLoadError: the model cannot be loaded. SetupError: a port is taken, or a certificate cannot be used.
    """
    # Imported here: a parent of workers needs no doors, and a service without workers no parent.
    if settings.workers > 1:
        from .workers.parent import serve_with_workers as chosen
    else:
        from .lifecycle import serve_alone as chosen
    run_until(chosen(settings, ready), (signal.SIGINT, signal.SIGTERM))


def run_until(main: Coroutine[None, None, None], signals: Collection[signal.Signals]) -> None:
    """Run in a new event loop, uvloop's where that is installed; one of ``signals`` cancels ``main``, and is its end.

    Cancelled once: a signal that comes again must not cut off the answers that the first one waits for.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_stopped_by(main, signals))


async def _stopped_by(main: Coroutine[None, None, None], signals: Collection[signal.Signals]) -> None:
    serving = asyncio.create_task(main)

    def stop() -> None:
        if not serving.cancelling():
            serving.cancel()

    loop = asyncio.get_running_loop()
    for number in signals:
        with suppress(NotImplementedError):  # Windows, where Ctrl-C raises KeyboardInterrupt instead
            loop.add_signal_handler(number, stop)
    with suppress(asyncio.CancelledError):
        await serving


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    try:
        from uvloop import new_event_loop
    except ModuleNotFoundError:
        return None
    return new_event_loop
