"""What a failed call tells: the class, the code and the text, from our own service and from others."""

from __future__ import annotations

import ast
import logging
import re
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock import proto
from penstock.client import AsyncClient, Client, Retries
from penstock.client._failures import _CONVERSION_CODES, rebuilt
from penstock.proto import (
    ConversionError,
    DeadlineExceeded,
    LimitError,
    ModelFailure,
    ModelInputError,
    ModelLoadError,
    Overloaded,
    PayloadError,
    PenstockError,
    RequestError,
    ServiceError,
    SetupError,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ONCE = Retries(attempts=1)


def aborts(status: str, details: str, *trailers: tuple[str, str]) -> Callable[..., Any]:
    def answer(_: bytes, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata(trailers)
        context.abort(grpc.StatusCode[status], details)

    return answer


def replies(status: int, body: bytes, **headers: str) -> Callable[..., Any]:
    return lambda handler, _: handler.reply(status, body, **headers)


def envelope(info: str, reason: str = "MICROSERVICE_INTERNAL_ERROR") -> bytes:
    return b'{"status":{"status":1,"info":"%s","code":-1,"reason":"%s"}}' % (info.encode(), reason.encode())


OURS = [
    (PayloadError("bad base64", code="BAD_BASE64"), 400),
    (ConversionError("tensor to jsonData: NaN", code="NOT_JSON"), 400),
    (ConversionError("no"), 400),
    (LimitError("too many", code="TOO_MANY_ELEMENTS"), 413),
    (ModelInputError("4 columns, not 3"), 400),
    (ModelFailure("the model failed; error id 12ab"), 500),
    (ModelLoadError("no such file"), 500),
    (Unavailable("stopping"), 503),
    (Overloaded("the queue is full"), 429),
    (Overloaded("no room", code="NO_ROOM"), 429),
    (DeadlineExceeded("longer than 3 s"), 504),
    (Unauthenticated("the token has expired"), 401),
    (RequestError("no such model", code="NO_MODEL", http_status=404, grpc_status="NOT_FOUND"), 404),
    (PenstockError("the service failed; error id 12ab", code="INTERNAL"), 500),
]


@pytest.mark.parametrize(("error", "http_status"), OURS, ids=lambda each: getattr(each, "code", None))
def test_an_error_of_our_service_comes_through(
    grpc_echo: Any, rest_echo: Any, error: PenstockError, http_status: int
) -> None:
    said = f"{error.code}: {error.message}"
    grpc_echo.seen.always = aborts(error.grpc_status, said)
    rest_echo.seen.always = replies(http_status, envelope(said))
    for server in (grpc_echo, rest_echo):
        with Client(server.address, retries=ONCE) as client, pytest.raises(PenstockError) as caught:
            client.predict("x")
        expected = ModelFailure if error.code == "INTERNAL" else type(error)
        assert type(caught.value) is expected
        assert caught.value.code == error.code
        assert caught.value.message == error.message
        assert caught.value.__suppress_context__


def test_the_codes_of_conversions_are_those_of_the_codec() -> None:
    used: dict[str, set[str]] = {}
    for path in Path(next(iter(proto.__path__))).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                for keyword in node.keywords:
                    if keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
                        used.setdefault(str(keyword.value.value), set()).add(node.func.id)
    for code in _CONVERSION_CODES - {"CANNOT_CONVERT"}:
        assert used.get(code) == {"ConversionError"}, code


def test_what_a_model_has_refused_is_understood_beside_a_service_in_the_same_process() -> None:
    script = (
        "import penstock.serving.failures\n"
        "from penstock.client._failures import rebuilt\n"
        "print(repr(rebuilt('INVALID_ARGUMENT', 'MODEL_REFUSED: no image')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "ModelInputError('no image')\n"


# What real seldon-core 1.18 and 1.19 answer, from their recorded replies.
@pytest.mark.parametrize(
    ("status", "details", "kind", "text"),
    [
        ("UNKNOWN", "Exception calling application: Got 3 Expected: 4", ModelFailure, "Got 3 Expected: 4"),
        ("UNKNOWN", "Exception calling application: ", ModelFailure, "UNKNOWN and did not say why"),
        ("UNKNOWN", "", ModelFailure, "UNKNOWN and did not say why"),
        ("INTERNAL", "Exception deserializing request!", ModelFailure, "Exception deserializing request!"),
        ("UNIMPLEMENTED", "Method not found!", RequestError, "Method not found!"),
        ("PERMISSION_DENIED", "RBAC: access denied", RequestError, "RBAC: access denied"),
        ("RESOURCE_EXHAUSTED", "SERVER: Received message larger than max (5 vs. 4)", LimitError, "larger than max"),
        ("RESOURCE_EXHAUSTED", "too many requests", Overloaded, "too many requests"),
        ("DATA_LOSS", "disk", ServiceError, "disk"),
    ],
)
def test_a_foreign_grpc_error_is_understood(
    grpc_echo: Any, status: str, details: str, kind: type[PenstockError], text: str
) -> None:
    grpc_echo.seen.always = aborts(status, details)
    with Client(grpc_echo.address, retries=ONCE) as client, pytest.raises(PenstockError) as caught:
        client.predict("x")
    assert type(caught.value) is kind
    assert text in caught.value.message


def test_a_model_that_raises_in_grpcios_server(grpc_echo: Any) -> None:
    def raises(*_: Any) -> bytes:
        raise ValueError("X has 3 features")

    logging.getLogger("grpc._server").disabled = True  # it logs the traceback
    grpc_echo.seen.always = raises
    with Client(grpc_echo.address) as client, pytest.raises(ModelFailure, match=r"^X has 3 features$"):
        client.predict("x")
    logging.getLogger("grpc._server").disabled = False
    assert len(grpc_echo.seen.calls) == 1


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "text"),
    [
        (500, envelope("Got 3 Expected: 4"), {}, ModelFailure, "Got 3 Expected: 4"),
        (400, envelope("Can't find JSON in data", "MICROSERVICE_BAD_DATA"), {}, PayloadError, "find JSON"),
        (500, envelope("bad", "MICROSERVICE_BAD_DATA"), {}, PayloadError, "bad"),
        (500, envelope("404 Not Found: The requested URL"), {}, RequestError, "404 Not Found"),
        (500, b"", {}, ModelFailure, "answered 500 Internal Server Error"),
        (500, b"<html>secret page</html>", {"content_type": "text/html"}, ModelFailure, "answered 500"),
        (404, b"", {}, RequestError, "check the path of the address"),
        (403, b'{"detail":"not for you"}', {}, RequestError, "not for you"),
        (418, b"", {}, PayloadError, "answered 418"),
        (413, b"too big", {"content_type": "text/plain"}, LimitError, "too big"),
        (429, b"", {}, Overloaded, "answered 429"),
        (502, b"", {}, Unavailable, "answered 502 Bad Gateway"),
        (503, b"no healthy upstream", {"content_type": "text/plain"}, Unavailable, "no healthy upstream"),
        (504, b"", {}, DeadlineExceeded, "answered 504"),
        (599, b"", {}, ModelFailure, "answered 599"),
        (200, b"<html>log in</html>", {}, ServiceError, "something else than a SeldonMessage"),
        (200, envelope("model broke"), {}, ModelFailure, "model broke"),
    ],
)
def test_a_foreign_http_reply_is_understood(
    rest_echo: Any, status: int, body: bytes, headers: dict[str, str], kind: type[PenstockError], text: str
) -> None:
    rest_echo.seen.always = replies(status, body, **headers)
    with Client(rest_echo.address, retries=ONCE) as client, pytest.raises(PenstockError) as caught:
        client.predict("x")
    assert type(caught.value) is kind
    assert text in caught.value.message
    assert "secret page" not in caught.value.message


def test_a_redirect_is_told_without_its_secrets(rest_echo: Any) -> None:
    rest_echo.seen.always = replies(302, b"", location="https://u:pw@login.example/auth?state=s3cret")
    with Client(rest_echo.address) as client, pytest.raises(RequestError) as caught:
        client.predict("x")
    assert "https://login.example/auth" in caught.value.message
    assert "s3cret" not in caught.value.message
    assert "pw" not in caught.value.message


def test_no_traceback_comes_through() -> None:
    text = 'it broke\nTraceback (most recent call last):\n  File "/srv/model.py", line 3\n'
    assert rebuilt("UNKNOWN", text).message == "it broke"
    assert rebuilt("INTERNAL", f"MODEL_FAILED: {text}").message == "it broke"
    assert len(rebuilt("UNKNOWN", "x" * 10_000).message) < 2_100


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_nobody_is_there(free_port: int, scheme: str) -> None:
    address = f"{scheme}://127.0.0.1:{free_port}"
    with Client(address, retries=ONCE) as client, pytest.raises(Unavailable) as caught:
        client.predict("x")
    assert caught.value.message == f"cannot reach {address}: connection refused; is the service running there?"


@pytest.mark.parametrize("scheme", ["grpc", "http"])
async def test_nobody_is_there_async(free_port: int, scheme: str) -> None:
    address = f"{scheme}://127.0.0.1:{free_port}"
    async with AsyncClient(address, retries=ONCE) as client:
        with pytest.raises(Unavailable) as caught:
            await client.predict("x")
    assert address in caught.value.message
    assert "is the service running there?" in caught.value.message


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_host_name_that_is_not_known(scheme: str) -> None:
    client = Client(f"{scheme}://no-such-host.invalid:5", retries=ONCE)
    with client, pytest.raises((Unavailable, DeadlineExceeded), match=r"no-such-host\.invalid"):
        client.predict("x")


def test_the_wrong_protocol_is_named(grpc_echo: Any, rest_echo: Any) -> None:
    for wrong, right in (
        (f"grpc://127.0.0.1:{rest_echo.port}", rest_echo.address),
        (f"http://127.0.0.1:{grpc_echo.port}", grpc_echo.address),
    ):
        with Client(wrong) as client, pytest.raises(SetupError, match=f"write {right}") as caught:
            client.predict("x")
        assert caught.value.code == "WRONG_PROTOCOL"


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_the_service_hangs_up(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        client = Client(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", retries=ONCE)
        with client, pytest.raises(Unavailable, match=r"127\.0\.0\.1:\d+"):
            client.predict("x")
        thread.join()


def test_a_closed_client_says_so(echo: Any) -> None:
    client = Client(echo.address)
    client.predict("x")
    client.close()
    with pytest.raises(ServiceError, match="is closed") as caught:
        client.predict("x")
    assert caught.value.code == "CLIENT_CLOSED"


async def test_a_closed_async_client_says_so(echo: Any) -> None:
    client = AsyncClient(echo.address)
    await client.predict("x")
    await client.close()
    with pytest.raises(ServiceError, match="is closed"):
        await client.predict("x")


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("ftp://host:1", "unknown scheme 'ftp'"),
        ("grpc://", "names no host"),
        ("grpc://host:many", "port"),
        ("grpc://host:5000/path", "has no path"),
        ("http://host?x=1", "without [?] or #"),
        ("https://user:hidden@host", "no user or password"),
        ("grpc://a..b:5", "no host name"),
    ],
)
def test_an_address_that_makes_no_sense(address: str, text: str) -> None:
    with pytest.raises(SetupError, match=text) as caught:
        Client(address)
    assert not re.search("hidden", caught.value.message)


@pytest.mark.parametrize("deadline", [0, -1, float("nan"), float("inf")])
def test_a_deadline_is_a_time(deadline: float) -> None:
    with pytest.raises(SetupError, match="greater than 0"):
        Client("localhost:1", deadline=deadline)


@pytest.mark.parametrize("token", ["two words", "line\nsecret", "é"])
def test_a_token_that_no_header_can_hold(token: str) -> None:
    with pytest.raises(SetupError, match="visible ASCII") as caught:
        Client("localhost:1", token=token)
    assert token not in caught.value.message


BYTES = st.binary(max_size=200) | st.sampled_from(
    [b"null", b"[]", b'{"status":{"status":1}}', b'{"data":{"tensor":{"shape":[9],"values":[]}}}', b"[" * 10_000]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BYTES, status=st.integers(200, 599), retry_after=st.sampled_from(["", "x", "-1", "nan", "inf", "Mon, 99"]))
def test_whatever_an_http_server_says_is_an_answer_or_an_error_of_ours(
    rest_echo: Any, body: bytes, status: int, retry_after: str
) -> None:
    body = b"" if status in (204, 304) else body
    rest_echo.seen.always = replies(status, body, retry_after=retry_after)
    with Client(rest_echo.address, retries=Retries(attempts=2, first_wait=0.001)) as client:
        for ask in (lambda: client.predict("x").message, client.metadata):
            try:
                ask()
            except PenstockError as error:
                assert error.message
                assert "\n" not in error.message


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BYTES)
def test_whatever_a_grpc_server_says_is_an_answer_or_an_error_of_ours(grpc_echo: Any, body: bytes) -> None:
    grpc_echo.seen.always = lambda *_: body
    with Client(grpc_echo.address, retries=ONCE) as client:
        for ask in (lambda: client.predict("x").message, client.metadata, client.ready):
            try:
                ask()
            except PenstockError as error:
                assert error.message
