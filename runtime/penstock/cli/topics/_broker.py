"""Which Kafka is meant, and who we are there: a stream's spec, or an address and the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from penstock.streams import Kafka, Stream

LOCAL: Final = "127.0.0.1:19092"  # where `penstock kafka up` serves
_SECURITY: Final = ("protocol", "mechanism", "username", "ca_file", "cert_file", "key_file")
_SECRETS: Final = {"password_env": "PENSTOCK_KAFKA_PASSWORD", "key_password_env": "PENSTOCK_KAFKA_KEY_PASSWORD"}

Bootstrap = Annotated[
    str | None,
    typer.Option(
        "--bootstrap",
        "-b",
        help="host:port of a broker, several with commas. "
        f"[dim]\\[default: the spec's, else PENSTOCK_KAFKA, else {LOCAL}][/]",
        show_default=False,
    ),
]
SpecFile = Annotated[
    Path | None,
    typer.Option("--spec", help="A stream's spec, for its broker and its \\[kafka.security].", show_default=False),
]
SpecArgument = Annotated[
    Path | None, typer.Argument(help="A stream's spec, for its topics and its broker.", show_default=False)
]


def broker_of(spec: Stream | None, bootstrap: str | None) -> Kafka:
    """The broker that is meant.

    Args:
        spec: a stream; its security counts, and its address where no other is given.
        bootstrap: what was typed.

    Raises:
        SetupError: an address or a variable of the environment is not what it should be.
    """
    from dataclasses import replace

    from penstock.streams.spec_file import kafka_of
    from penstock.streams.spec_table import Table

    if spec is not None:
        return replace(spec.kafka, bootstrap=bootstrap) if bootstrap else spec.kafka
    given = {name: os.environ.get(f"PENSTOCK_KAFKA_{name.upper()}", "") for name in _SECURITY}
    security = {name: value for name, value in given.items() if value}
    security |= {name: variable for name, variable in _SECRETS.items() if os.environ.get(variable)}
    values = {"bootstrap": bootstrap or os.environ.get("PENSTOCK_KAFKA") or LOCAL, "security": security}
    return kafka_of(Table(Path("--bootstrap and PENSTOCK_KAFKA_…"), "", values), "by-hand")


def stream_of(spec: Path | None) -> Stream | None:
    """The spec, read, where one was named.

    Raises:
        SetupError: ``BAD_SPEC``.
    """
    if spec is None:
        return None
    from penstock.streams import load_stream

    return load_stream(spec)
