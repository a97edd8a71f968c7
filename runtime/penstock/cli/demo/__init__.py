"""``penstock demo``: the whole of it on scanned digits, brought up, watched and taken down by one command."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from .digits import Digits
    from .stack import Ports, Stack
    from .traffic import Traffic

_EXAMPLES = """
[bold]Examples[/]

penstock demo

penstock demo --images 20000

penstock demo --keep     [dim]# leaves Kafka, the service and the stream running[/]

penstock demo --stop     [dim]# stops them[/]
"""

_LINE_EVERY = 1.0

Port = Annotated[int | None, typer.Option(help="[dim]\\[default: the usual one, else a free one][/]", min=1, max=65535)]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=_EXAMPLES)(demo)


def demo(
    *,
    images: Annotated[int, typer.Option(help="How many images to send.", min=1, max=10_000_000)] = 6000,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running and print the addresses.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop what an earlier --keep has left.")] = False,
    kafka_port: Port = None,
    grpc_port: Port = None,
    http_port: Port = None,
) -> None:
    """Run the main job: real Kafka, a model trained on the spot, predictions while you watch.

    Starts a Kafka broker, trains a classifier on scanned digits, serves it, and streams images through it from one
    topic to another. Everything listens on 127.0.0.1 only and is stopped at the end.
    """
    from rich.console import Console

    from .stack import Ports, Stack

    console = Console(highlight=False)
    stack = Stack(console)
    if stop:
        console.print("stopped" if stack.take_down() else "nothing was running")
        return
    stack.clear()
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _interrupted)
    try:
        digits = _bring_up(stack, Ports(kafka_port, grpc_port, http_port), console)
        traffic = _watch(stack, digits, images, console)
        _sum_up(traffic, console)
        if keep:
            stack.keep()
            _print_addresses(stack, console)
    except KeyboardInterrupt:
        console.print("\ninterrupted")
        keep = False
        sys.exit(130)
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            with _step(console, "stopped what was started"):
                stack.take_down()


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _bring_up(stack: Stack, ports: Ports, console: Console) -> Digits:
    from .digits import train

    with _step(console, "Kafka") as step:
        stack.start_broker(ports.kafka)
        step.append(f"a real broker on {stack.kafka}")
    with _step(console, "model") as step:
        digits = train(stack.model)
        step.append(f"trained on 1,198 scanned digits, exported to ONNX; {len(digits.labels)} kept back to send")
    with _step(console, "service") as step:
        stack.start_service(ports)
        step.append(f"gRPC {stack.grpc}, REST {stack.http}")
    with _step(console, "stream") as step:
        stack.start_stream()
        step.append("topic digits → model → topic digits-predictions")
    return digits


@contextmanager
def _step(console: Console, name: str) -> Iterator[list[str]]:
    """A line for what takes a while: a spinner in a terminal, then a tick, what came of it, and the seconds."""
    started, said = time.perf_counter(), list[str]()
    if console.is_terminal:
        with console.status(f"{name} …"):
            yield said
    else:
        yield said
    seconds = time.perf_counter() - started
    console.print(f"[green]✓[/] [bold]{name}[/]  {''.join(said)}  [dim]{seconds:.1f} s[/]", soft_wrap=True)


def _watch(stack: Stack, digits: Digits, images: int, console: Console) -> Traffic:
    import asyncio

    from rich.live import Live

    from .show import frame, line
    from .traffic import PER_SECOND, WATCHED, Traffic

    console.print(f"\n{WATCHED} images at {PER_SECOND} a second, to be watched; then the rest at full speed")

    async def run() -> Traffic:
        traffic = Traffic(stack.kafka, digits, images)
        if console.is_terminal:
            with Live(frame(traffic.board), console=console, auto_refresh=False) as live:
                await traffic.run(lambda: live.update(frame(traffic.board), refresh=True))
        else:
            printed = time.perf_counter()

            def refresh() -> None:
                nonlocal printed
                pace = line(traffic.board)
                if time.perf_counter() - printed >= _LINE_EVERY:
                    printed = time.perf_counter()
                    console.print(pace)

            await traffic.run(refresh)
        return traffic

    return asyncio.run(run())


def _sum_up(traffic: Traffic, console: Console) -> None:
    from rich.table import Table

    from .traffic import PER_SECOND

    board = traffic.board
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("answered", f"{board.answered:,} of {board.total:,} images")
    table.add_row("accuracy", f"[bold]{board.accuracy:.1%}[/] ({board.right:,} right)")
    table.add_row("throughput", f"[bold]{traffic.fast_rate:,.0f}[/] records/s at full speed")
    latency = f"{traffic.watched_latency * 1000:.1f} ms"
    table.add_row("latency", f"{latency}, Kafka to Kafka (median at {PER_SECOND} images/s)")
    console.print()
    console.print(table)


def _print_addresses(stack: Stack, console: Console) -> None:
    console.print(
        f"\nleft running:\n"
        f"  Kafka    {stack.kafka}   topics digits, digits-predictions, digits-dead\n"
        f"  gRPC     {stack.grpc}\n"
        f"  REST     {stack.http}/api/v1.0/doc/\n"
        f"  files    {stack.folder}\n"
        f"stop it with `penstock demo --stop`",
        soft_wrap=True,
    )
