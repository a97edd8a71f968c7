"""``penstock kafka produce``."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

from penstock.cli.local import Output, Shown
from penstock.cli.predict import Format

from ._broker import Bootstrap, SpecFile, broker_of, stream_of
from ._listing import size_of
from ._tables import counting, show_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.streams.consoles import Form, Readable

PRODUCE: Final = """
[bold]Examples[/]

penstock kafka produce measurements '[[5.1, 3.5, 1.4, 0.2]]'

penstock kafka produce measurements --format jsonData --key-field station_id @readings.jsonl

penstock kafka produce images --format binData --key cat.png --header source=phone @cat.png

zcat rows.gz | penstock kafka produce measurements
"""


def produce(
    topic: Annotated[str, typer.Argument(help="It must be there; penstock kafka topics --create makes one.")],
    data: Annotated[
        list[str] | None,
        typer.Argument(
            help="Records; [bold]@FILE[/] reads a file, [bold]-[/] standard input.",
            metavar="[DATA]...",
            show_default="-",
        ),
    ] = None,
    *,
    kind: Annotated[Format, typer.Option("--format", "-f", help="What each record is.")] = Format.NDARRAY,
    whole: Annotated[
        bool | None,
        typer.Option(
            "--whole/--lines",
            help="Whether a file is one record, or each of its lines. [dim]\\[default: lines; whole for binData][/]",
            show_default=False,
        ),
    ] = None,
    key: Annotated[str | None, typer.Option(help="The key of each record.", show_default=False)] = None,
    key_field: Annotated[
        str | None,
        typer.Option(
            help="Where the key is in a JSON record: station_id, /a/b.", metavar="POINTER", show_default=False
        ),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="Of each record.", metavar="K=V", show_default=False)
    ] = None,
    partition: Annotated[
        int | None, typer.Option(min=0, help="Instead of the one that the key decides.", show_default=False)
    ] = None,
    tombstone: Annotated[bool, typer.Option("--tombstone", help="A record without a value: --key is no more.")] = False,
    spec: SpecFile = None,
    bootstrap: Bootstrap = None,
    output: Shown = Output.TEXT,
) -> None:
    """Write records to a topic, each checked to be of its format before it is sent.

    A file is checked as a whole before its first record is sent; standard input as it comes.
    """
    from penstock.streams.consoles import produce as write

    form = _form(kind, key, key_field, header, whole=kind is Format.BIN_DATA if whole is None else whole)
    kafka = broker_of(stream_of(spec), bootstrap)
    records = _tombstone(form, data) if tombstone else _records(data or ["-"], form)
    with counting("sent") as told:
        sent = write(kafka, topic, records, form, partition=partition, told=told)
    if output is Output.JSON:
        last = sent.last and {"partition": sent.last[0], "offset": sent.last[1]}
        show_object({"topic": topic, "records": sent.records, "bytes": sent.bytes, "last": last})
    elif sent.last is not None and sent.records == 1:
        typer.echo(f"{topic} {sent.last[0]}/{sent.last[1]}")
    else:
        typer.echo(f"{sent.records:,} records, {size_of(sent.bytes)}, to {topic}")


def _form(kind: Format, key: str | None, key_field: str | None, headers: Sequence[str] | None, *, whole: bool) -> Form:
    from penstock.proto import Kind, SetupError
    from penstock.streams.consoles import Form
    from penstock.streams.pointers import Pointer

    if key is not None and key_field is not None:
        raise SetupError("--key and --key-field both say what the key is; give one")
    if key_field is not None and kind in (Format.BIN_DATA, Format.STR_DATA):
        raise SetupError(f"--key-field looks into JSON, which {kind} is not; give --key")
    for header in headers or ():
        if "=" not in header:
            raise SetupError(f"--header {header!r:.40} is no NAME=VALUE")
    return Form(
        kind=Kind(kind),
        whole=whole,
        key=None if key is None else os.fsencode(key),
        key_field=None if key_field is None else Pointer.parse(key_field),
        headers=tuple((name, os.fsencode(value)) for name, _, value in (text.partition("=") for text in headers or ())),
    )


def _tombstone(form: Form, data: list[str] | None) -> Iterator[Readable]:
    from penstock.proto import SetupError
    from penstock.streams.consoles import Readable

    if form.key is None or data:
        raise SetupError("a tombstone says that a key is no more: give --key, and no data")
    return iter([Readable(form.key, None)])


def _records(data: list[str], form: Form) -> Iterator[Readable]:
    """All of them; what can be read twice is read through before the first is sent."""
    from penstock.streams.consoles import readable

    for each in data:
        if each != "-":
            with _opened(each) as (source, name):
                for _ in readable(source, _as_typed(form, each), name):
                    pass
    for each in data:
        with _opened(each) as (source, name):
            yield from readable(source, _as_typed(form, each), name)


def _as_typed(form: Form, text: str) -> Form:
    # An argument is one record; bytes are typed as base64, which is how lines of them are read.
    from dataclasses import replace

    from penstock.proto import Kind

    if text == "-" or text.startswith("@"):
        return form
    return replace(form, whole=form.kind is not Kind.BIN_DATA)


@contextmanager
def _opened(text: str) -> Iterator[tuple[BinaryIO, str]]:
    from penstock.proto import SetupError

    if text == "-":
        if sys.stdin.isatty():
            raise SetupError("no data; give it as an argument, @FILE, or through a pipe")
        yield sys.stdin.buffer, ""
    elif text.startswith("@"):
        try:
            file = Path(text[1:]).open("rb")  # noqa: SIM115  (an error of the block is not one of opening)
        except OSError as error:
            raise SetupError(f"cannot read {text[1:]}: {error.strerror}") from None
        with file:
            yield file, text[1:]
    else:
        yield io.BytesIO(os.fsencode(text)), ""
