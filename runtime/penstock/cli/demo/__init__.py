"""``penstock demo``: the whole of it on scanned digits, brought up, watched and taken down by one command."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from .kafka_demo import KafkaDemo
    from .nifi_demo import NiFiDemo
    from .running import Ports

_EXAMPLES = """
[bold]Examples[/]

penstock demo

penstock demo --images 20000

penstock demo --nifi --keep     [dim]# leaves NiFi and the service running, to look at the canvas[/]

penstock demo --stop            [dim]# stops them[/]
"""

Port = Annotated[int | None, typer.Option(help="[dim]\\[default: the usual one, else a free one][/]", min=1, max=65535)]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=_EXAMPLES)(demo)


def demo(
    *,
    nifi: Annotated[bool, typer.Option("--nifi", help="On a NiFi canvas instead: images over SFTP.")] = False,
    images: Annotated[
        int | None,
        typer.Option(help="How many images to send. [dim]\\[default: 6000, with --nifi 60][/]", min=1, max=10_000_000),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running and print the addresses.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop what an earlier --keep has left.")] = False,
    kafka_port: Port = None,
    nifi_port: Port = None,
    grpc_port: Port = None,
    http_port: Port = None,
) -> None:
    """Run the main job: real Kafka, a model trained on the spot, predictions while you watch.

    Starts a Kafka broker, trains a classifier on scanned digits, serves it, and streams images through it from one
    topic to another. With --nifi: starts Apache NiFi (the first time it is fetched, 191 MB), puts the image
    recognition flow on its canvas, and shows what NiFi's provenance tells of the predictions. Everything listens on
    127.0.0.1 only and is stopped at the end.
    """
    from rich.console import Console

    from .running import Ports

    console = Console(highlight=False)
    if stop:
        console.print("stopped" if _stop(console) else "nothing was running")
        return
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _interrupted)
    ports = Ports(nifi_port if nifi else kafka_port, grpc_port, http_port)
    _run(_demo(console, "nifi" if nifi else "kafka"), ports, images, console, "keep" if keep else "stop")


def _demo(console: Console, name: str) -> KafkaDemo | NiFiDemo:
    if name == "kafka":
        from .kafka_demo import KafkaDemo

        return KafkaDemo(console)
    from .nifi_demo import NiFiDemo

    return NiFiDemo(console)


def _stop(console: Console) -> bool:
    kafka, nifi = (_demo(console, name).stack.take_down() for name in ("kafka", "nifi"))
    return kafka or nifi


def _run(show: KafkaDemo | NiFiDemo, ports: Ports, images: int | None, console: Console, afterwards: str) -> None:
    from .steps import step

    show.stack.clear()
    try:
        show.run(ports, images)
        if afterwards == "keep":
            show.stack.keep()
            show.print_addresses()
    except KeyboardInterrupt:
        console.print("\ninterrupted")
        afterwards = "stop"
        sys.exit(130)
    except BaseException:
        afterwards = "stop"
        raise
    finally:
        if afterwards == "stop":
            with step(console, "stopped what was started"):
                show.stack.take_down()


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt
