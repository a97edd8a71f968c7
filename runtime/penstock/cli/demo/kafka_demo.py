"""The demo with Kafka: images stream through the model from one topic to another, and are watched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .stack import KafkaStack
from .steps import step

if TYPE_CHECKING:
    from rich.console import Console

    from .digits import Digits
    from .running import Ports
    from .traffic import Traffic

_LINE_EVERY = 1.0
_IMAGES = 6000


class KafkaDemo:
    """Brings it up, shows it, and tells where it is."""

    def __init__(self, console: Console) -> None:
        self.stack = KafkaStack(console)
        self._console = console

    def run(self, ports: Ports, images: int | None) -> None:
        """Bring everything up and send the images."""
        digits = _bring_up(self.stack, ports, self._console)
        traffic = _watch(self.stack, digits, images or _IMAGES, self._console)
        _sum_up(traffic, self._console)

    def print_addresses(self) -> None:
        """Tell where everything is that was left running."""
        _print_addresses(self.stack, self._console)


def _bring_up(stack: KafkaStack, ports: Ports, console: Console) -> Digits:
    from .digits import train

    with step(console, "Kafka") as said:
        stack.start_broker(ports.server)
        said.append(f"a real broker on {stack.kafka}")
    with step(console, "model") as said:
        digits = train(stack.model)
        said.append(f"trained on 1,198 scanned digits, exported to ONNX; {len(digits.labels)} kept back to send")
    with step(console, "service") as said:
        stack.start_service(ports)
        said.append(f"gRPC {stack.grpc}, REST {stack.http}")
    with step(console, "stream") as said:
        stack.start_stream()
        said.append("topic digits → model → topic digits-predictions")
    return digits


def _watch(stack: KafkaStack, digits: Digits, images: int, console: Console) -> Traffic:
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


def _print_addresses(stack: KafkaStack, console: Console) -> None:
    console.print(
        f"\nleft running:\n"
        f"  Kafka    {stack.kafka}   topics digits, digits-predictions, digits-dead\n"
        f"  gRPC     {stack.grpc}\n"
        f"  REST     {stack.http}/api/v1.0/doc/\n"
        f"  files    {stack.folder}\n"
        f"stop it with `penstock demo --stop`",
        soft_wrap=True,
    )
