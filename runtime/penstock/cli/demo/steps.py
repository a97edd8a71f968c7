"""A line of the demo for what takes a while."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console


@contextmanager
def step(console: Console, name: str) -> Iterator[list[str]]:
    """A spinner in a terminal, then a tick, what came of it, and the seconds."""
    started, said = time.perf_counter(), list[str]()
    if console.is_terminal:
        with console.status(f"{name} …"):
            yield said
    else:
        yield said
    print_step(console, name, "".join(said), time.perf_counter() - started)


def print_step(console: Console, name: str, said: str, seconds: float) -> None:
    """The line that is left."""
    console.print(f"[green]✓[/] [bold]{name}[/]  {said}  [dim]{seconds:.1f} s[/]", soft_wrap=True)
