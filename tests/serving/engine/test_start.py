"""What a start of `penstock serve` does without, and that its options mean the same with and without Typer."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from penstock.cli import serve as command
from penstock.cli.plain_options import read
from penstock.serving.models.inputs import Input
from penstock.serving.models.model import TensorSpec
from penstock.serving.models.warmup import made_up

if TYPE_CHECKING:
    from pathlib import Path

# Asks as soon as the service can be reached, then tells which of these are imported, and stops the service.
_START = """
import os, signal, socket, sys
from threading import Thread
import penstock.cli, penstock.cli.serve

RARE = (
    "typer", "rich", "google.protobuf", "grpc", "grpc_health", "grpc_reflection", "ml_dtypes", "simdjson", "hpack",
    "pybase64", "numpy.random", "secrets", "random", "encodings.idna", "email", "http", "zlib", "shutil", "tempfile",
    "zipfile", "prometheus_client", "python_multipart", "importlib.metadata",
    "penstock.proto.inference", "penstock.proto.asides", "penstock.proto.messages", "penstock.proto.tensor_types",
    "penstock.http2", "penstock.serving.doors.rpc", "penstock.serving.doors.openapi", "penstock.serving.tls",
    "penstock.serving.workers", "penstock.client",
)
BODY = b'{"data": {"ndarray": [[1.0, 2.0]]}}'

def ask(address):
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.socket() as connection:
        connection.connect((host, int(port)))
        head = f"POST /api/v1.0/predictions HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: {len(BODY)}\\r\\n\\r\\n"
        connection.sendall(head.encode() + BODY)
        print(connection.recv(65536).split(b"\\r\\n")[0].decode())
    print("imported:", *(name for name in RARE if name in sys.modules), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

penstock.cli.serve._announce = lambda server: Thread(target=ask, args=[server.http_address]).start()
penstock.cli.main()
"""

_PLAIN = (
    ["--model", "a.onnx"],
    ["--model=a.onnx", "--grpc-port", "0", "--http-port=0"],
    ["--model", "a.onnx", "--name", "a=b", "--host", "::", "--deadline", "2", "--batch-wait", "1e-3", "--threads", "0"],
    ["--tls-certificate", "a.pem", "--tls-key", "b.pem", "--tls-client-ca", "c", "--workers", "2", "--model", "~/a"],
    ["--max-message-bytes", "1_000", "--grpc-engine", "grpcio", "--version", "3", "--drain", "inf", "--model", " a "],
)
_NOT_PLAIN: tuple[list[str], ...] = (
    [],
    ["--help"],
    ["-h"],
    ["--grpc-port", "0"],
    ["--model"],
    ["--model", "--name"],
    ["--model", ""],
    ["--model", "a", "b"],
    ["--model", "a", "--model", "b"],
    ["--model", "a", "--mode", "b"],
    ["--model", "a", "--grpc_port", "1"],
    ["--model", "a", "--grpc-port", "one"],
    ["--model", "a", "--grpc-port", "-1"],
    ["--model", "a", "--", "--name", "b"],
    ["model", "a"],
)


def test_a_start_imports_nothing_that_its_first_answer_does_not_need(tmp_path: Path) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", values[:1], values[1:])
    path = tmp_path / "relu.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    options = ["serve", "--model", str(path), "--grpc-port", "0", "--http-port", "0"]
    ended = subprocess.run([sys.executable, "-c", _START, *options], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (0, "HTTP/1.1 200 OK\nimported:\n"), ended.stderr


@pytest.mark.parametrize("arguments", _PLAIN, ids=" ".join)
def test_plain_options_are_what_typer_makes_of_them(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    seen: dict[str, Any] = {}

    # As `serve` but for what it does: Typer reads the annotations where the function has its names.
    def stand_in(**options: Any) -> None:
        seen.update(options)

    monkeypatch.setitem(vars(command), "typer", typer)
    stand_in.__signature__ = inspect.signature(command.serve, eval_str=True)  # type: ignore[attr-defined]
    stand_in.__annotations__ = inspect.get_annotations(command.serve, eval_str=True)
    app = typer.Typer()
    app.command()(stand_in)
    app(arguments, standalone_mode=False)
    options = read(command.serve, arguments)
    assert options is not None
    defaults = {name: one.default for name, one in inspect.signature(command.serve).parameters.items()}
    assert defaults | options == seen
    assert {name: type(value) for name, value in options.items()} == {name: type(seen[name]) for name in options}


@pytest.mark.parametrize("arguments", _NOT_PLAIN, ids=" ".join)
def test_what_is_not_plain_is_left_to_typer(arguments: list[str]) -> None:
    assert read(command.serve, arguments) is None


def test_each_option_of_serve_is_of_a_kind_that_is_read() -> None:
    options = inspect.signature(command.serve).parameters
    values = {name: "1" if isinstance(one.default, int | float) else "a" for name, one in options.items()}
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    assert set(read(command.serve, arguments) or ()) == set(options)


@pytest.mark.parametrize("element", [np.float16, np.float32, np.float64, np.int8, np.uint64, np.bool_, object])
@pytest.mark.parametrize("shape", [(), (3,), (-1, 13), (-1, -1, 4), (0, 2)])
def test_made_up_values_fit_and_differ_by_row(element: type, shape: tuple[int, ...]) -> None:
    (array,) = made_up([Input(TensorSpec("x", "", shape), np.dtype(element))], 2)
    assert isinstance(array, np.ndarray)
    assert array.dtype == element
    assert array.shape == tuple(
        2 if at == 0 and size < 0 else max(size, 1) if size else 0 for at, size in enumerate(shape)
    )
    if array.dtype != object:
        assert ((array >= 0) & (array <= 1)).all()
        if shape == (-1, 13):
            assert (array[0] != array[1]).any()
