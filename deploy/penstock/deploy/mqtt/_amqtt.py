"""The broker of amqtt as a program."""

from __future__ import annotations

import asyncio
import signal
import sys
from importlib.util import find_spec

from penstock.deploy.ports import LOOPBACK

LACKS = "amqtt knows MQTT 3.1.1 only: no response topic, no correlation data, and no shared subscriptions"


def found() -> bool:
    """Whether amqtt is installed."""
    return find_spec("amqtt") is not None


def command(port: int) -> list[str]:
    """The broker as a process of this Python."""
    return [sys.executable, "-c", f"from {__name__} import main; main({port})"]


async def _serve(port: int) -> None:
    from amqtt.broker import Broker  # type: ignore[import-untyped]  # it has no types

    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{LOOPBACK}:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await broker.start()
    await stopping.wait()
    await broker.shutdown()


def main(port: int) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    asyncio.run(_serve(port))
