"""``penstock forecast``: forecasts of readings over Kafka, and what they need: a model, and readings."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.local import Output, Shown

if TYPE_CHECKING:
    from penstock.streams.forecast.training import Trained

_RUN = """
[bold]Examples[/]

penstock forecast run stations.toml

penstock forecast run stations.toml --metrics-port 9103

[dim]Several workers of one group share the stations: start the same command again. Ctrl-C or SIGTERM finishes the
batch in hand, commits and leaves the group.[/]
"""
_TRAIN = """
[bold]Examples[/]

penstock forecast train readings.csv --output stations.onnx

penstock forecast train readings.csv --output stations.onnx --time unix_timestamp --test 0.3 --output-format json
"""
_SEND = """
[bold]Examples[/]

penstock forecast send readings.csv --topic readings

penstock forecast send readings.csv --topic readings --time unix_timestamp --rate 20
"""

Readings = Annotated[Path, typer.Argument(help="CSV with a header; other columns than the four are passed over.")]
Station = Annotated[str, typer.Option(help="Column of the station.")]
Parameter = Annotated[str, typer.Option(help="Column of the parameter, what was measured.")]
Time = Annotated[str, typer.Option(help="Column of the time: a number, or ISO 8601.")]
Value = Annotated[str, typer.Option(help="Column of the value.")]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Forecast readings over Kafka: run, train, send.")
    group.command("run", epilog=_RUN)(run)
    group.command("train", epilog=_TRAIN)(train)
    group.command("send", epilog=_SEND)(send)
    app.add_typer(group, name="forecast")


def run(
    spec: Annotated[Path, typer.Argument(help="What is to be forecast, in TOML; docs/forecasting.md has an example.")],
    *,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Show Prometheus metrics on this port of 127.0.0.1; 0 picks a free one."),
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two lines of progress.")] = 5.0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="What Faust and Kafka's client log, too.")] = False,
) -> None:
    """Run a worker of a forecast until it is stopped."""
    from penstock.streams.forecast.spec_file import load_forecast
    from penstock.streams.forecast.worker import ForecastWorker
    from penstock.streams.running import run_worker

    forecast = load_forecast(spec)
    run_worker(
        forecast.stream,
        make=lambda: ForecastWorker(forecast),
        metrics_port=metrics_port,
        interval=interval,
        verbose=verbose,
    )


def train(
    readings: Readings,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The model; its scaling goes beside it, as .json.")],
    test: Annotated[float, typer.Option(min=0.05, max=0.95, help="Part of each series, its end, to judge by.")] = 0.2,
    seed: Annotated[int, typer.Option(help="The same readings and seed give the same model.")] = 0,
    station: Station = "station_id",
    parameter: Parameter = "parameter_id",
    time: Time = "reading_time",
    value: Value = "value",
    shown: Annotated[Output, typer.Option("--output-format", help="json is one object on one line.")] = Output.TEXT,
) -> None:
    """Train a dense net on readings of the past, and tell how it does beside "as the last value"."""
    from penstock.streams.forecast.history import history
    from penstock.streams.forecast.training import train as trained_on

    names = {"station": station, "parameter": parameter, "time": time, "value": value}
    trained = trained_on(history(readings, names), test=test, seed=seed)
    beside = trained.save(output)
    if shown is Output.JSON:
        told = {"learned": trained.learned, "judged": trained.judged}
        typer.echo(json.dumps(told | {"errors": asdict(trained.errors), "naive": asdict(trained.naive)}))
        return
    for line in _lines(trained):
        typer.echo(line)
    typer.echo(f"{output} and {beside}")


def _lines(trained: Trained) -> list[str]:
    rows = (("the model", trained.errors), ('"as the last value"', trained.naive))
    return [
        f"learned from {trained.learned:,} windows, judged by the {trained.judged:,} that came after them",
        f"{'':20}{'MAE':>8}{'RMSE':>8}",
        *(f"{name:20}{errors.mae:8.3f}{errors.rmse:8.3f}" for name, errors in rows),
    ]


def send(
    readings: Readings,
    *,
    topic: Annotated[str, typer.Option(help="Where they go; the key is the station.")],
    bootstrap: Annotated[str, typer.Option(help="host:port, several with commas.")] = "127.0.0.1:9092",
    rate: Annotated[float, typer.Option(min=0.0, help="Readings in a second; 0 does not wait.")] = 0.0,
    station: Station = "station_id",
    parameter: Parameter = "parameter_id",
    time: Time = "reading_time",
    value: Value = "value",
    output: Shown = Output.TEXT,
) -> None:
    """Send readings of the past to a topic, as stations would."""
    from penstock.streams import Kafka
    from penstock.streams.forecast.history import history
    from penstock.streams.forecast.sending import send as send_to

    names = {"station": station, "parameter": parameter, "time": time, "value": value}
    sent = send_to(history(readings, names), topic, Kafka(bootstrap=bootstrap), rate=rate)
    typer.echo(json.dumps({"sent": sent}) if output is Output.JSON else f"{sent:,} readings to {topic} at {bootstrap}")
