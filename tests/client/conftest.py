"""Real servers to call: small, told by each test how to misbehave."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from penstock.deploy import ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PREDICT = "/seldon.protos.Seldon/Predict"


@dataclass
class Seen:
    """What a server was asked, and what it does instead of echoing for as many calls as are listed."""

    calls: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    instead: deque[Callable[..., Any]] = field(default_factory=deque)
    always: Callable[..., Any] | None = None
    arrived: threading.Event = field(default_factory=threading.Event)
    connections: int = 0
    hung_up: int = 0  # connections that the server has closed

    def next(self, path: str, headers: dict[str, str], body: bytes) -> Callable[..., Any] | None:
        self.calls.append((path, headers, body))
        self.arrived.set()
        return self.instead.popleft() if self.instead else self.always


class _Generic(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def service(self, details: Any) -> Any:
        headers = {key: value for key, value in details.invocation_metadata if isinstance(value, str)}

        def answer(body: bytes, context: grpc.ServicerContext) -> bytes:
            instead = self._seen.next(details.method, headers, body)
            return body if instead is None else instead(body, context)

        return grpc.unary_unary_rpc_method_handler(answer)


@dataclass
class GrpcServer:
    port: int
    seen: Seen
    server: grpc.Server

    @property
    def address(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.server.stop(0).wait()


def grpc_server(port: int = 0, seen: Seen | None = None, pair: tuple[bytes, bytes] | None = None) -> GrpcServer:
    """A gRPC server that echoes; with TLS where it gets a key and a certificate."""
    seen = seen or Seen()
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    server.add_generic_rpc_handlers((_Generic(seen),))
    where = f"127.0.0.1:{port}"
    bound = (
        server.add_secure_port(where, grpc.ssl_server_credentials([pair])) if pair else server.add_insecure_port(where)
    )
    server.start()
    return GrpcServer(bound, seen, server)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def setup(self) -> None:
        super().setup()
        self.server.seen.connections += 1

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {key.lower(): value for key, value in self.headers.items()}
        instead = self.server.seen.next(self.path, headers, body)
        if instead is None:
            self.reply(200, body)
        else:
            instead(self, body)

    do_GET = do_POST = _answer  # noqa: N815

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    seen: Seen

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.seen.hung_up += 1

    def handle_error(self, *_: Any) -> None:  # a client that hangs up is what many tests are about
        pass


@dataclass
class RestServer:
    port: int
    seen: Seen
    server: _HttpServer
    scheme: str = "http"

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def rest_server(port: int = 0, seen: Seen | None = None) -> RestServer:
    """An HTTP server that echoes."""
    server = _HttpServer(("127.0.0.1", port), _Handler)
    server.seen = seen or Seen()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return RestServer(server.server_port, server.seen, server)


ENGINES = ("penstock", "grpcio")
# What a test has to ask for, or be parametrized by, to call over gRPC.
_OVER_GRPC = frozenset({"grpc_echo", "echo", "start_grpc", "address", "secure", "scheme"})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test that calls over gRPC runs with our own HTTP/2, then with grpcio's."""
    if _OVER_GRPC & {*metafunc.fixturenames} and not metafunc.module.__name__.endswith("test_own_engine"):
        metafunc.parametrize("engine", ENGINES, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Over REST there is one engine."""
    items[:] = [item for item in items if not _is_twice(getattr(item, "callspec", None))]


def _is_twice(spec: Any) -> bool:
    rest = {"http", "https", "rest"}
    return (
        spec is not None
        and spec.params.get("engine") == "grpcio"
        and any(value in rest for value in spec.params.values() if isinstance(value, str))
    )


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the clients of the test call through: its name."""
    name = str(getattr(request, "param", ENGINES[0]))
    if name == "grpcio":  # as where there is a proxy
        monkeypatch.setattr("penstock.client._engines.names_proxy", lambda _: True)
    return name


@pytest.fixture
def grpc_echo() -> Iterator[GrpcServer]:
    server = grpc_server()
    yield server
    server.stop()


@pytest.fixture
def rest_echo() -> Iterator[RestServer]:
    server = rest_server()
    yield server
    server.stop()


@pytest.fixture(params=["grpc", "rest"])
def echo(request: pytest.FixtureRequest) -> Iterator[GrpcServer | RestServer]:
    """An echo server of each protocol."""
    server = grpc_server() if request.param == "grpc" else rest_server()
    yield server
    server.stop()


@pytest.fixture
def start_grpc() -> Iterator[Callable[..., GrpcServer]]:
    """Starts gRPC servers on request."""
    with _starter(grpc_server) as start:
        yield start


@pytest.fixture
def start_rest() -> Iterator[Callable[..., RestServer]]:
    """Starts HTTP servers on request."""
    with _starter(rest_server) as start:
        yield start


@contextmanager
def _starter(make: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    servers: list[Any] = []

    def start(*args: Any, **kwargs: Any) -> Any:
        servers.append(make(*args, **kwargs))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on now."""
    return ports.free_port()
