"""Times as people type them: ``2h``, ``30m``, ``2026-11-21``, ``2026-11-21T10:15:00+01:00``."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

Since = Annotated[
    str | None,
    typer.Option(help="Not before this time: 2h ago, or 2026-11-21T10:15.", metavar="TIME", show_default=False),
]
Until = Annotated[str | None, typer.Option(help="Before this time, likewise.", metavar="TIME", show_default=False)]


def milliseconds(text: str | None) -> int | None:
    """Milliseconds since 1970; a time without a zone is a local one.

    Raises:
        SetupError: it is no time.
    """
    if not text:
        return None
    span = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if span:
        return int((datetime.now(UTC).timestamp() - float(span[1]) * _UNITS[span[2]]) * 1000)
    try:
        return int(datetime.fromisoformat(text.strip()).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        from penstock.proto import SetupError

        raise SetupError(f"{text!r:.40} is no time; write 90s, 30m, 2h, 3d ago, or 2026-11-21T10:15") from None


def shown(timestamp: int, *, exact: bool = False) -> str:
    """A record's timestamp, in local time, to the second or the millisecond; a dash where it has none."""
    if timestamp < 0:
        return "-"
    return datetime.fromtimestamp(timestamp / 1000).astimezone().isoformat(" ", "milliseconds")[: 23 if exact else 19]
