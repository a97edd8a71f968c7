"""``penstock serve``: a model on every protocol, until it is stopped."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path  # noqa: TC003  (typer reads the annotations when it runs)
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    import typer

    from penstock.serving.about import Reachable
    from penstock.serving.tls import Tls

_EPILOG = """
[bold]Examples[/]

  penstock serve --model iris.onnx

  penstock serve --model ./inception3 --name image-recognition --deadline 10

  penstock serve --model iris.onnx --grpc-port 0 --http-port 0   (any free ports)

  penstock serve --model iris.onnx --workers 4 --host 0.0.0.0

Then:  curl -s http://127.0.0.1:9000/api/v1.0/predictions -H 'Content-Type: application/json'
  -d '{"data": {"ndarray": [[2, 5, 1, 4]]}}'
"""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    import typer

    # Typer reads the annotations of `serve` in the names of this module, whose import should be without it.
    serve.__globals__["typer"] = typer
    app.command("serve", epilog=_EPILOG)(serve)


def serve(
    model: Annotated[Path, typer.Option(help="A .onnx or .tflite file, or a folder with one or a SeldonWrapper.")],
    name: Annotated[str, typer.Option(help="Of model and service; the file's or folder's own where not given.")] = "",
    version: Annotated[str, typer.Option(help="Of the model, as its metadata tell it.")] = "",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    grpc_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 5000,
    http_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 9000,
    grpc_engine: Annotated[str, typer.Option(help="penstock, or grpcio for grpcio's own server.")] = "penstock",
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM file, with the chain; needs --tls-key.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file, without a passphrase.")] = None,
    tls_client_ca: Annotated[Path | None, typer.Option(help="PEM file; callers must show a certificate by it.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that serve the model.")] = 1,
    worker_timeout: Annotated[
        float, typer.Option(help="Seconds beyond the deadline until a silent worker is replaced; 0 is never.")
    ] = 30.0,
    deadline: Annotated[float, typer.Option(help="Seconds a prediction may take, waiting included.")] = 3.0,
    max_batch: Annotated[int, typer.Option(help="Rows in one run of the model; 1 turns batching off.")] = 1024,
    batch_wait: Annotated[float, typer.Option(help="Seconds a run waits for more rows; 0 never waits.")] = 0.0,
    max_queue: Annotated[int, typer.Option(help="Rows that may wait for the model.")] = 16384,
    max_message_bytes: Annotated[int, typer.Option(help="Size of a request or reply on any protocol.")] = 64 << 20,
    threads: Annotated[int, typer.Option(help="That onnxruntime or LiteRT uses for one run; 0 is one per core.")] = 1,
    drain: Annotated[float, typer.Option(help="Seconds that a stop waits for what is in flight.")] = 10.0,
) -> None:
    """Serve a model over gRPC and REST: Seldon's protocol and the Open Inference Protocol, v2.

    Stops on Ctrl-C or SIGTERM, after what is in flight has been answered.
    """
    from penstock.proto import Limits
    from penstock.serving import Settings
    from penstock.serving.process import serve as run

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    settings = Settings(
        model=model.absolute(),
        name=name,
        version=version,
        host=host,
        grpc_port=grpc_port,
        http_port=http_port,
        grpc_engine=grpc_engine,
        tls=_tls(tls_certificate, tls_key, tls_client_ca),
        workers=workers,
        worker_timeout=worker_timeout,
        deadline=deadline,
        max_batch=max_batch,
        batch_wait=batch_wait,
        max_queue=max_queue,
        threads=threads,
        limits=Limits(message_bytes=max_message_bytes),
        drain=drain,
    )
    if settings.model.is_dir():
        # Models read the files beside them by relative paths, in predict as well as while they load.
        os.chdir(settings.model)
    run(settings, _announce)


def _tls(certificate: Path | None, key: Path | None, client_ca: Path | None) -> Tls | None:
    if certificate is None and key is None and client_ca is None:
        return None
    from penstock.proto import SetupError
    from penstock.serving.tls import Tls

    if certificate is None or key is None:
        raise SetupError("TLS needs both --tls-certificate and --tls-key", code="BAD_SETTING")
    return Tls(certificate.absolute(), key.absolute(), client_ca.absolute() if client_ca is not None else None)


def _announce(server: Reachable) -> None:
    model = server.model
    if not sys.stdout.isatty():
        print(f"serving {model.name} grpc={server.grpc_address} http={server.http_address}", flush=True)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("[bold]model[/]", f"{model.name} {model.version}".strip() + f"  [dim]{model.platform}[/]")
    table.add_row("[bold]gRPC[/]", server.grpc_address)
    table.add_row("[bold]REST[/]", server.http_address)
    table.add_row("[bold]try it[/]", f"{server.http_address}/api/v1.0/doc/")
    console = Console()
    console.print(table)
    console.print("[dim]Ctrl-C stops it, after what is in flight.[/]")
