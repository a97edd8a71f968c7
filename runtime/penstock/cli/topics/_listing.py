"""``penstock kafka topics`` and ``penstock kafka lag``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from penstock.cli.local import Output, Shown

from ._broker import Bootstrap, SpecFile, broker_of, stream_of
from ._tables import say, show_object, show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

TOPICS: Final = """
[bold]Examples[/]

penstock kafka topics

penstock kafka topics --create measurements --partitions 12

penstock kafka topics --output json | jq -r .name
"""
LAG: Final = """
[bold]Examples[/]

penstock kafka lag

penstock kafka lag --spec iris.toml

penstock kafka lag --group penstock-iris --output json | jq -s 'map(.lag) | add'
"""
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


def topics(
    names: Annotated[list[str] | None, typer.Argument(help="Only these.", show_default=False)] = None,
    *,
    create: Annotated[str | None, typer.Option(help="Create this topic.", metavar="NAME", show_default=False)] = None,
    partitions: Annotated[int, typer.Option("--partitions", "-p", min=1, help="Of a topic that is created.")] = 1,
    replicas: Annotated[
        int | None, typer.Option(min=1, help="Likewise. [dim]\\[default: the broker's][/]", show_default=False)
    ] = None,
    config: Annotated[
        list[str] | None,
        typer.Option(help="Likewise: a setting, such as cleanup.policy=compact.", metavar="K=V", show_default=False),
    ] = None,
    delete: Annotated[
        str | None, typer.Option(help="Delete this topic with all that is in it.", metavar="NAME", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting.")] = False,
    internal: Annotated[bool, typer.Option("--all", help="Kafka's own topics, too.")] = False,
    spec: SpecFile = None,
    bootstrap: Bootstrap = None,
    output: Shown = Output.TEXT,
) -> None:
    """List topics with partitions, records and size; create or delete one."""
    from penstock.streams.consoles import create_topic, delete_topic
    from penstock.streams.consoles import topics as list_topics

    kafka = broker_of(stream_of(spec), bootstrap)
    if create:
        create_topic(kafka, create, partitions=partitions, replicas=replicas or -1, settings=pairs(config, "--config"))
        names = [create]
    if delete:
        _sure(delete, yes=yes)
        delete_topic(kafka, delete)
        say(f"deleted {delete}")
        return
    found = list_topics(kafka, names or (), internal=internal)
    if output is Output.JSON:
        for each in found:
            show_object(asdict(each))
        return
    columns = ("topic", "partitions", "replicas", "records", "size")
    rows = [
        (each.name, str(each.partitions), str(each.replicas), f"{each.records:,}", size_of(each.bytes))
        for each in found
    ]
    show_table(columns, rows, right=columns[1:], folded="topic")
    if not found:
        say(f"no topics at {kafka.bootstrap}")


def lag(
    *,
    group: Annotated[list[str] | None, typer.Option("--group", "-g", help="Only these.", show_default=False)] = None,
    topic: Annotated[str, typer.Option("--topic", "-t", help="Only this one.", show_default=False)] = "",
    spec: SpecFile = None,
    bootstrap: Bootstrap = None,
    output: Shown = Output.TEXT,
) -> None:
    """Show how far consumer groups are behind; with --spec, the group and the source of a stream."""
    from penstock.streams.consoles import lags

    stream = stream_of(spec)
    if stream is not None:
        group, topic = group or [stream.kafka.group], topic or stream.source.topic
    kafka = broker_of(stream, bootstrap)
    found = lags(kafka, group or (), topic=topic)
    if output is Output.JSON:
        for each in found:
            show_object(asdict(each))
        return
    columns = ("group", "topic", "partition", "committed", "end", "lag")
    show_table(
        columns,
        [
            (
                each.group,
                each.topic,
                str(each.partition),
                "-" if each.committed is None else f"{each.committed:,}",
                f"{each.end:,}",
                f"{each.lag:,}",
            )
            for each in found
        ],
        right=columns[2:],
        folded="topic",
    )
    _sum_up([each.lag for each in found], kafka.bootstrap)


def pairs(texts: Sequence[str] | None, option: str) -> dict[str, str]:
    """``key=value`` options.

    Raises:
        SetupError: one has no equals sign.
    """
    from penstock.proto import SetupError

    for text in texts or ():
        if not text.partition("=")[1]:
            raise SetupError(f"{option} {text!r:.40} is no NAME=VALUE")
    return {text.partition("=")[0]: text.partition("=")[2] for text in texts or ()}


def size_of(size: int | None) -> str:
    """Bytes for people."""
    if size is None:
        return "-"
    number, unit = float(size), 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.1f} {_UNITS[unit]}" if unit else f"{size} bytes"


def _sum_up(lags: Sequence[int], address: str) -> None:
    say(f"{sum(lags):,} behind" if lags else f"no group has committed anything of it at {address}")


def _sure(name: str, *, yes: bool) -> None:
    import sys

    from penstock.proto import SetupError

    if yes:
        return
    if not sys.stdin.isatty():
        raise SetupError(f"this would delete {name} with all that is in it; say --yes")
    if not typer.confirm(f"Delete {name} with all that is in it?"):
        raise typer.Exit(1)
