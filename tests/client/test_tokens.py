"""Bearer tokens: fixed, and fetched from a real token endpoint; nobody gets to see the secrets."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import grpc
import pytest

from penstock.client import AsyncClient, Client, PasswordGrant, Retries
from penstock.proto import DeadlineExceeded, ServiceError, SetupError, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PASSWORD = "pass & wörd=1"


class TokenService:
    """Issues token-1, token-2, … and answers 401 as Keycloak does."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.issued = 0
        self.life: Any = 300
        server.seen.always = self._answer

    def _answer(self, handler: Any, body: bytes) -> None:
        form = {key: values[0] for key, values in parse_qs(body.decode()).items()}
        if form != {"grant_type": "password", "client_id": "app", "username": "ann", "password": PASSWORD}:
            text = {"error": "invalid_grant", "error_description": f"Invalid user credentials {form.get('password')}"}
            handler.reply(401, json.dumps(text).encode())
            return
        self.issued += 1
        answer = {"access_token": f"token-{self.issued}", "expires_in": self.life, "token_type": "Bearer"}
        handler.reply(200, json.dumps(answer).encode())

    def grant(self, password: str = PASSWORD) -> PasswordGrant:
        return PasswordGrant(f"{self.server.address}/auth/token", "app", "ann", password)


@pytest.fixture
def tokens(start_rest: Callable[..., Any]) -> TokenService:
    return TokenService(start_rest())


def checks(server: Any, good: Callable[[str], bool]) -> None:
    """Let an echo server refuse calls whose token is not good."""

    def over_grpc(body: bytes, context: grpc.ServicerContext) -> bytes:
        if not good(str(dict(context.invocation_metadata()).get("authorization", ""))):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "Jwt is expired")
        return body

    def over_rest(handler: Any, body: bytes) -> None:
        accepted = good(handler.headers.get("authorization", ""))
        handler.reply(200, body) if accepted else handler.reply(401, b"Jwt is expired", content_type="text/plain")

    server.seen.always = over_grpc if server.address.startswith("grpc") else over_rest


def sent(server: Any) -> list[str | None]:
    return [headers.get("authorization") for _, headers, _ in server.seen.calls]


def test_a_fixed_token(echo: Any) -> None:
    checks(echo, lambda token: token == "Bearer fixed")
    with Client(echo.address, token="fixed") as client:
        assert client.predict("x").value == "x"
    with Client(echo.address, token="other") as client, pytest.raises(Unauthenticated, match="Jwt is expired"):
        client.predict("x")
    with Client(echo.address) as client, pytest.raises(Unauthenticated):
        client.predict("x")
    assert sent(echo) == ["Bearer fixed", "Bearer other", None]


def test_a_token_is_fetched_once_and_kept(echo: Any, tokens: TokenService) -> None:
    with Client(echo.address, token=tokens.grant()) as client:
        for _ in range(3):
            client.predict("x")
    assert sent(echo) == ["Bearer token-1"] * 3
    assert tokens.server.seen.calls[0][0] == "/auth/token"


async def test_a_token_is_fetched_once_and_kept_async(echo: Any, tokens: TokenService) -> None:
    async with AsyncClient(echo.address, token=tokens.grant()) as client:
        await asyncio.gather(*(client.predict("x") for _ in range(8)))
    assert sent(echo) == ["Bearer token-1"] * 8
    assert tokens.issued == 1


def test_threads_fetch_one_token(grpc_echo: Any, tokens: TokenService) -> None:
    answer = tokens.server.seen.always

    def slowly(handler: Any, body: bytes) -> None:
        time.sleep(0.2)
        answer(handler, body)

    tokens.server.seen.always = slowly
    with Client(grpc_echo.address, deadline=30, token=tokens.grant()) as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(client.predict, ["x"] * 8))
    assert tokens.issued == 1


def test_a_token_is_renewed_before_it_expires(grpc_echo: Any, tokens: TokenService) -> None:
    tokens.life = 0.5
    with Client(grpc_echo.address, token=tokens.grant()) as client:
        client.predict("x")
        time.sleep(0.45)  # still good, but not for long
        client.predict("x")
    assert sent(grpc_echo) == ["Bearer token-1", "Bearer token-2"]


def test_a_refused_token_is_replaced_once(echo: Any, tokens: TokenService) -> None:
    checks(echo, lambda token: token == "Bearer token-2")
    with Client(echo.address, token=tokens.grant()) as client:
        assert client.predict("x").value == "x"
        assert client.predict("y").value == "y"
    assert sent(echo) == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


async def test_a_refused_token_is_replaced_once_async(echo: Any, tokens: TokenService) -> None:
    checks(echo, lambda token: token == "Bearer token-2")
    async with AsyncClient(echo.address, token=tokens.grant()) as client:
        assert (await client.predict("x")).value == "x"
    assert sent(echo) == ["Bearer token-1", "Bearer token-2"]


def test_a_service_that_takes_no_token_is_not_asked_for_ever(echo: Any, tokens: TokenService) -> None:
    checks(echo, lambda _: False)
    with Client(echo.address, token=tokens.grant()) as client, pytest.raises(Unauthenticated, match="Jwt is expired"):
        client.predict("x")
    assert sent(echo) == ["Bearer token-1", "Bearer token-2"]


def test_wrong_credentials_are_told_without_the_password(echo: Any, tokens: TokenService) -> None:
    with Client(echo.address, token=tokens.grant("very wrong")) as client, pytest.raises(Unauthenticated) as caught:
        client.predict("x")
    assert "gives no token to user 'ann' of client 'app': Invalid user credentials •••" in caught.value.message
    assert "very wrong" not in caught.value.message
    assert not echo.seen.calls


def test_a_token_service_that_is_not_there(echo: Any, free_port: int) -> None:
    grant = PasswordGrant(f"http://127.0.0.1:{free_port}/token", "app", "ann", PASSWORD)
    client = Client(echo.address, token=grant, retries=Retries(attempts=2, first_wait=0.001))
    with client, pytest.raises(Unavailable, match=f"cannot reach http://127.0.0.1:{free_port}/token"):
        client.predict("x")


def test_a_token_service_that_recovers(echo: Any, tokens: TokenService) -> None:
    tokens.server.seen.instead.append(lambda handler, _: handler.reply(503, b""))
    with Client(echo.address, token=tokens.grant(), deadline=30) as client:
        assert client.predict("x").value == "x"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"access_token": 7}', b'{"access_token": "t", "expires_in": "x"}']
)
def test_a_token_service_that_talks_nonsense(grpc_echo: Any, tokens: TokenService, body: bytes) -> None:
    tokens.server.seen.always = lambda handler, _: handler.reply(200, body)
    with Client(grpc_echo.address, token=tokens.grant()) as client, pytest.raises(ServiceError, match="holds no token"):
        client.predict("x")


def test_fetching_a_token_counts_against_the_deadline(echo: Any, tokens: TokenService) -> None:
    tokens.server.seen.always = lambda *_: time.sleep(1.5)
    with Client(echo.address, token=tokens.grant(), deadline=0.2) as client, pytest.raises(DeadlineExceeded):
        client.predict("x")
    assert not echo.seen.calls


def test_the_token_service_speaks_http() -> None:
    with pytest.raises(SetupError, match="https:// or http://"):
        Client("localhost:1", token=PasswordGrant("grpc://localhost:1", "app", "ann", PASSWORD))


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(logging.DEBUG)
    yield caplog
    caplog.set_level(logging.WARNING)


def test_secrets_are_in_no_repr_and_no_log(echo: Any, tokens: TokenService, logged: pytest.LogCaptureFixture) -> None:
    from urllib.parse import quote_plus

    with Client(echo.address, token=tokens.grant(), retries=Retries(first_wait=0.001)) as client:
        client.predict("x")
        shown = repr(client) + repr(tokens.grant()) + logged.text
    with Client(echo.address, token="fixed-secret") as client:
        client.predict("x")
        shown += repr(client) + logged.text
    for secret in (PASSWORD, quote_plus(PASSWORD), "token-1", "fixed-secret"):
        assert secret not in shown
    assert "'ann'" in shown
