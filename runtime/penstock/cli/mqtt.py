"""``penstock mqtt``: models at request and reply topics, and questions to them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.local import Output, Shown, refuse_windows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.proto import PenstockError
    from penstock.streams.mqtt import ClientSettings, Reply

_NO_RESULT = 4  # exit code: the questions were asked, and some have no result

_SERVE = """
[bold]Examples[/]

penstock mqtt serve server.json

penstock mqtt serve server.json --worker 2 --metrics-port 9103

[dim]Workers share the requests; each has a name of its own, under which it finds again what was sent to it while it
was away. Ctrl-C or SIGTERM finishes what is in hand.[/]
"""
_ASK = """
[bold]Examples[/]

penstock mqtt ask client.json '{"norm_1": 0.1, "norm_2": 0.2, "norm_3": 0.2, "norm_4": 0.1, "norm_5": 0, "norm_6": 0}'

penstock mqtt ask client.json --file readings.csv --limit 10

cat requests.jsonl | penstock mqtt ask client.json --file - --output json

[dim]Exit code 4: some request was answered with an error, or not at all.[/]
"""
_BROKER = """
[bold]Examples[/]

penstock mqtt broker

penstock mqtt broker --port 0
"""

ServerFile = Annotated[Path, typer.Argument(help="server.json: broker, queues, model; docs/mqtt.md has an example.")]
ClientFile = Annotated[Path, typer.Argument(help="client.json: broker and queues; docs/mqtt.md has an example.")]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Answer requests that come over MQTT: serve, ask, broker.")
    group.command("serve", epilog=_SERVE)(serve)
    group.command("ask", epilog=_ASK)(ask)
    group.command("broker", epilog=_BROKER)(broker)
    app.add_typer(group, name="mqtt")


def serve(
    settings: ServerFile,
    *,
    worker: Annotated[
        str, typer.Option("--worker", "-w", help="Name of this worker; each that runs has another.")
    ] = "1",
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Show Prometheus metrics on this port of 127.0.0.1; 0 picks a free one."),
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two lines of progress.")] = 5.0,
) -> None:
    """Run a worker until it is stopped."""
    from penstock.streams.mqtt import load_server
    from penstock.streams.mqtt.serving import run_server

    if not worker or set(worker) & set("/+#"):
        raise typer.BadParameter("a worker's name is one level of a topic: without / + #", param_hint="--worker")
    run_server(load_server(settings), name=worker, metrics_port=metrics_port, interval=interval)


def ask(
    settings: ClientFile,
    requests: Annotated[list[str] | None, typer.Argument(help="Requests, each as the service reads it.")] = None,
    *,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "-f", help="A CSV of windows or readings, a JSON list, or one request a line; - is stdin."
        ),
    ] = None,
    column: Annotated[str, typer.Option(help="Of a CSV of readings: the normalised values.")] = "norm_value",
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Ask for the first so many.")] = None,
    output: Shown = Output.TEXT,
) -> None:
    """Send requests, and print the replies in the order of the requests."""
    import asyncio
    from itertools import islice

    from penstock.streams.mqtt import load_client
    from penstock.streams.mqtt.questions import questions

    if bool(requests) == bool(file):
        raise typer.BadParameter("either requests, or --file with a file of them")
    wanted = load_client(settings)
    found = questions(file, column) if file else (request.encode() for request in requests or ())
    missing = asyncio.run(_ask(wanted, islice(found, limit), output))
    if missing:
        typer.echo(f"{missing} without a result", err=True)
        raise typer.Exit(_NO_RESULT)


def broker(
    *,
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="Where clients connect; 0 takes a free one.")
    ] = 1883,
) -> None:
    """Run a broker on this machine until Ctrl-C: mosquitto, or amqtt where there is none.

    Everybody on this machine may do everything there.
    """
    refuse_windows("broker")
    import signal
    from threading import Event

    from penstock.deploy.mqtt import broker as running

    stopped = Event()
    with running(port=port) as local:
        # No mask: that would be this thread's alone, and the system may give a signal to any other one.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        typer.echo(f"{local.kind} at {local.address}; Ctrl-C stops it")
        if local.lacks:
            typer.echo(local.lacks, err=True)
        stopped.wait()


async def _ask(settings: ClientSettings, requests: Iterator[bytes], output: Output) -> int:
    """Ask, and show each reply; how many requests have no result."""
    from penstock.streams.mqtt import Client

    missing = 0
    async with Client(settings) as client:
        async for reply in client.ask_all(requests):
            missing += isinstance(reply, Exception) or bool(reply.error)
            _show(reply, output)
    return missing


def _show(reply: Reply | PenstockError, output: Output) -> None:
    if isinstance(reply, Exception):
        told: dict[str, object] = {"error": reply.code, "message": reply.message}
        lines = [f"No result: {reply.message}"]
    else:
        text = reply.payload.decode(errors="replace")
        told = {"topic": reply.topic, "reply": text, "error": reply.error, "puid": reply.puid}
        told |= {"seconds": round(reply.seconds, 6), "attempts": reply.attempts}
        lines = [f"message topic= {reply.topic}", f"Returned Results: {text}"]
    typer.echo(json.dumps(told) if output is Output.JSON else "\n".join(["Data sent", *lines]))
    sys.stdout.flush()
