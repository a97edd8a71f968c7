"""The process as a whole: `penstock serve` in a process of its own, and `running` in the test's loop."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.proto import SetupError
from penstock.serving import Settings
from penstock.serving.lifecycle import running
from penstock.serving.settings import GRPC_ENGINES

from ..serve_alone import SERVE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ECHO = """
import time
from pathlib import Path
print("a model speaks")
class SeldonWrapper:
    def predict(self, X, names):
        if isinstance(X, str):
            with open("here.txt") as file: return file.read()
        while X[0][0] and not Path("open").exists():  # as long as the test wants
            time.sleep(0.005)
        return X
"""


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command, without the groups of commands that this test has nothing to do with."""
    command = [sys.executable, "-c", SERVE, "serve", "--grpc-port", "0", "--http-port", "0", *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def address_of(served: subprocess.Popen[str]) -> str:
    assert served.stdout is not None
    for line in served.stdout:
        if found := re.match(r"serving model grpc=127\.0\.0\.1:\d+ http=(http://\S+)$", line):
            return found[1]
    raise AssertionError(served.stderr.read() if served.stderr else "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_after_what_is_in_flight(
    wrapper: Callable[..., Path], number: signal.Signals
) -> None:
    folder = wrapper(ECHO)
    (folder / "here.txt").write_text("from the folder")
    with process("--model", str(folder)) as served:
        address = address_of(served)
        url = address + "/predict"
        assert httpx.post(url, json={"strData": "x"}, timeout=60).json()["strData"] == "from the folder"

        async def ask_and_stop() -> httpx.Response:
            async with httpx.AsyncClient(timeout=60) as client:
                call = asyncio.create_task(client.post(url, json={"data": {"ndarray": [[1.0]]}}))
                while "penstock_in_flight 1.0" not in (await client.get(f"{address}/metrics")).text:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                served.send_signal(number)
                with suppress(httpx.HTTPError):  # it is stopping when it takes nothing new
                    while (await client.get(f"{address}/health/ping")).is_success:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                (folder / "open").touch()
                return await call

        reply = asyncio.run(ask_and_stop())
        assert (reply.status_code, reply.json()["data"]["ndarray"]) == (200, [[1.0]])
        assert served.wait(30) == 0


def test_a_signal_while_the_model_loads_is_not_lost(wrapper: Callable[..., Path]) -> None:
    with process("--model", str(wrapper("import time\nprint('loading', flush=True)\ntime.sleep(600)"))) as served:
        assert served.stdout is not None
        assert served.stdout.readline() == "loading\n"
        served.send_signal(signal.SIGTERM)
        assert served.wait(30) == 0


def test_a_start_imports_nothing_that_only_a_rare_request_or_another_engine_needs(wrapper: Callable[..., Path]) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
from penstock.serving import Settings
from penstock.serving.lifecycle import running
async def main():
    async with running(Settings(Path({str(wrapper(ECHO))!r}), grpc_port=0, http_port=0)):
        rare = "grpc", "google.protobuf", "prometheus_client", "python_multipart", "email", "hpack", "onnxruntime"
        print("imported:", *(name for name in rare if name in sys.modules))
asyncio.run(main())
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True).stdout
    assert told.splitlines()[-1] == "imported:"


@pytest.mark.parametrize("options", [["--tls-key", "key.pem"], ["--tls-certificate", "certificate.pem"]])
def test_half_a_certificate_is_one_line(options: list[str], tmp_path: Path) -> None:
    with process("--model", str(tmp_path), *options) as served:
        _, errors = served.communicate(timeout=60)
    assert (served.returncode, errors) == (1, "error: TLS needs both --tls-certificate and --tls-key\n")


def test_what_cannot_be_served_is_one_line(tmp_path: Path) -> None:
    with process("--model", str(tmp_path / "none.onnx")) as served:
        _, errors = served.communicate(timeout=60)
    assert served.returncode == 1
    assert errors.startswith("error: there is nothing at")
    assert "Traceback" not in errors


@pytest.mark.parametrize("door", ["grpc_port", "http_port"])
async def test_a_taken_port_is_named_and_nothing_is_left_running(door: str, wrapper: Callable[..., Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports: dict[str, Any] = {"grpc_port": 0, "http_port": 0, door: port}
        settings = Settings(wrapper(ECHO), **ports)
        with pytest.raises(SetupError, match=str(port)):
            async with running(settings):
                raise AssertionError("it runs")


@pytest.mark.parametrize("engine", GRPC_ENGINES)
async def test_health_says_not_serving_while_it_stops(engine: str, wrapper: Callable[..., Path]) -> None:
    async with (
        running(Settings(wrapper(ECHO), grpc_port=0, http_port=0, grpc_engine=engine)) as server,
        grpc.aio.insecure_channel(server.grpc_address) as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        assert (await health.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
        await server.service.stop()
        assert (await health.Check(request)).status == health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize(
    "wrong",
    [{"deadline": 0}, {"max_batch": 0}, {"batch_wait": -1}, {"max_queue": 0}, {"grpc_port": 70000}, {"drain": -1}],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    (value,) = wrong.values()
    with pytest.raises(SetupError, match=f"not {value}$"):
        Settings(tmp_path, **wrong)  # type: ignore[arg-type]


def test_the_name_is_the_files_own(tmp_path: Path) -> None:
    assert Settings(tmp_path / "iris.onnx").name == "iris"
    assert Settings(tmp_path / "inception3").name == "inception3"
    assert Settings(tmp_path / "iris.onnx", name="flowers").name == "flowers"
