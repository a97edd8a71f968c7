"""``penstock predict``: one prediction from the command line."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from penstock.client import ClientConfig, Prediction
    from penstock.proto import Payload

_EPILOG = """
[bold]Examples[/]

penstock predict -a localhost:5000 '[[5.1, 3.5, 1.4, 0.2]]'

penstock predict -a http://localhost:9000 --names a,b,c,d --output json @rows.json

penstock predict -a localhost:5000 --format binData --output-format strData @image.jpg

zcat rows.json.gz | penstock predict --config client.toml > answers.json
"""


class Format(StrEnum):
    """The six payload kinds; typer wants an enum, and importing the codec's would slow down every --help."""

    NDARRAY = "ndarray"
    TENSOR = "tensor"
    TFTENSOR = "tftensor"
    JSON_DATA = "jsonData"
    STR_DATA = "strData"
    BIN_DATA = "binData"


class Output(StrEnum):
    """How the answer is shown."""

    AUTO = "auto"
    TABLE = "table"
    PLAIN = "plain"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict", epilog=_EPILOG)(predict)


def predict(
    data: Annotated[
        str, typer.Argument(help="The payload; [bold]@FILE[/] reads a file, [bold]-[/] standard input.", metavar="DATA")
    ] = "-",
    *,
    address: Annotated[
        str, typer.Option("--address", "-a", help="grpc://host:port, host:port, http://host:port, http://host/path, …")
    ] = "",
    config: Annotated[
        Path | None, typer.Option(help="A client configuration (TOML); the other options come before it.")
    ] = None,
    kind: Annotated[Format, typer.Option("--format", "-f", help="What DATA is.")] = Format.NDARRAY,
    output_format: Annotated[
        Format | None, typer.Option(help="What the answer is turned into; as it came where not given.")
    ] = None,
    names: Annotated[str, typer.Option(help="Names of the columns, separated by commas.")] = "",
    puid: Annotated[str, typer.Option(help="Identifies the prediction; the service makes one where not given.")] = "",
    deadline: Annotated[
        float | None, typer.Option(help="Seconds for the whole call, retries included. [dim]\\[default: 3][/]")
    ] = None,
    token: Annotated[str, typer.Option(envvar="PENSTOCK_TOKEN", help="A bearer token.", show_default=False)] = "",
    output: Annotated[
        Output,
        typer.Option("--output", "-o", help="auto is a table in a terminal and the plain payload in a pipe."),
    ] = Output.AUTO,
) -> None:
    """Ask a service for a prediction.

    DATA has the form of its format in a Kafka record or a FlowFile:
    JSON for ndarray, tensor and jsonData, text for strData.
    binData is raw from a file or standard input, base64 as an argument.
    """
    # grpcio's core writes notes of its own to stderr; what matters is in our errors.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from penstock.client import Client

    settings = _settings(config, address, deadline, token)
    payload = _read(data, kind)
    with Client.from_config(settings) as client:
        columns = [name.strip() for name in names.split(",")] if names else []
        prediction = client.predict(payload, names=columns, puid=puid)
    if output_format is not None:
        prediction = replace(prediction, message=replace(prediction.message, payload=prediction.to(output_format)))
    _show(prediction, output)


def _settings(config: Path | None, address: str, deadline: float | None, token: str) -> ClientConfig:
    from penstock.client import ClientConfig, load_config
    from penstock.proto import SetupError

    if config is None and not address:
        raise SetupError("no service is named; give --address or --config")
    settings = load_config(config) if config else ClientConfig(address)
    return replace(
        settings,
        address=address or settings.address,
        deadline=settings.deadline if deadline is None else deadline,
        token=token or settings.token,
    )


def _read(data: str, kind: Format) -> Payload:
    from penstock.proto import SetupError, decode

    if data == "-":
        if sys.stdin.isatty():
            raise SetupError("no data; give it as an argument, @FILE, or through a pipe")
        return decode(kind, sys.stdin.buffer.read())
    if not data.startswith("@"):
        return decode(kind, data.encode(errors="surrogateescape"), base64_text=True)
    try:
        return decode(kind, Path(data[1:]).read_bytes())
    except OSError as error:
        raise SetupError(f"cannot read {data[1:]}: {error.strerror}") from None


def _show(prediction: Prediction, output: Output) -> None:
    if output is Output.AUTO:
        output = Output.TABLE if sys.stdout.isatty() else Output.PLAIN
    if output is Output.TABLE:
        from .predicted import show_prediction

        show_prediction(prediction)
    elif output is Output.JSON:
        from penstock.proto import write_json_message

        _write(write_json_message(prediction.message) + b"\n")
    else:
        _write(_plain(prediction.payload))


def _plain(payload: Payload) -> bytes:
    from penstock.proto import Kind, encode_text

    return bytes(payload.value) if payload.kind is Kind.BIN_DATA else encode_text(payload).encode() + b"\n"


def _write(content: bytes) -> None:
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
