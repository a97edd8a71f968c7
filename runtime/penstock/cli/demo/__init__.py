"""``penstock demo``: the whole of it on scanned digits, brought up, watched and taken down by one command."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeAlias

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from .kafka_demo import KafkaDemo
    from .mqtt_demo import MqttDemo
    from .nifi_demo import NiFiDemo
    from .running import Ports

    Demo: TypeAlias = KafkaDemo | MqttDemo | NiFiDemo

_EXAMPLES = """
[bold]Examples[/]

penstock demo

penstock demo --images 20000

penstock demo --nifi --keep     [dim]# leaves NiFi and the service running, to look at the canvas[/]

penstock demo --stop            [dim]# stops them[/]

penstock demo --mqtt            [dim]# forecasts for base stations, over MQTT[/]
"""

Port = Annotated[int | None, typer.Option(help="[dim]\\[default: the usual one, else a free one][/]", min=1, max=65535)]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=_EXAMPLES)(demo)


def demo(
    *,
    nifi: Annotated[bool, typer.Option("--nifi", help="On a NiFi canvas instead: images over SFTP.")] = False,
    mqtt: Annotated[bool, typer.Option("--mqtt", help="Over MQTT instead: forecasts for base stations.")] = False,
    images: Annotated[
        int | None,
        typer.Option(
            help="How many images, or with --mqtt readings, to send. [dim]\\[default: 6000, with --nifi 60][/]",
            min=1,
            max=10_000_000,
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running and print the addresses.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop what an earlier --keep has left.")] = False,
    kafka_port: Port = None,
    mqtt_port: Port = None,
    nifi_port: Port = None,
    grpc_port: Port = None,
    http_port: Port = None,
) -> None:
    """Run the main job: real Kafka, a model trained on the spot, predictions while you watch.

    Starts a Kafka broker, trains a classifier on scanned digits, serves it, and streams images through it from one
    topic to another. With --mqtt: starts an MQTT broker, trains a forecaster on the readings of base stations, and
    lets the stations ask it, each at topics of its own. With --nifi: starts Apache NiFi (the first time it is fetched,
    191 MB), puts the image recognition flow on its canvas, and shows what NiFi's provenance tells of the predictions.
    Everything listens on 127.0.0.1 only and is stopped at the end.
    """
    from rich.console import Console

    from .running import Ports

    console = Console(highlight=False)
    if stop:
        console.print("stopped" if _stop(console) else "nothing was running")
        return
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _interrupted)
    if mqtt and nifi:
        raise typer.BadParameter("either this or --nifi", param_hint="--mqtt")
    name = "mqtt" if mqtt else "nifi" if nifi else "kafka"
    server_port = {"mqtt": mqtt_port, "nifi": nifi_port, "kafka": kafka_port}[name]
    _run(_demo(console, name), Ports(server_port, grpc_port, http_port), images, console, "keep" if keep else "stop")


def _demo(console: Console, name: str) -> Demo:
    if name == "kafka":
        from .kafka_demo import KafkaDemo

        return KafkaDemo(console)
    if name == "mqtt":
        from .mqtt_demo import MqttDemo

        return MqttDemo(console)
    from .nifi_demo import NiFiDemo

    return NiFiDemo(console)


def _stop(console: Console) -> bool:
    stopped = [_demo(console, name).stack.take_down() for name in ("kafka", "mqtt", "nifi")]
    return any(stopped)


def _run(show: Demo, ports: Ports, images: int | None, console: Console, afterwards: str) -> None:
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
