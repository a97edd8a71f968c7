"""Encrypted connections: an authority of one's own, none at all, and the wrong one."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from penstock.client import AsyncClient, Client, Retries, Tls
from penstock.proto import SetupError, Unavailable

trustme = pytest.importorskip("trustme")

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def authority() -> Any:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: Any, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(params=["grpcs", "https"])
def secure(
    request: pytest.FixtureRequest, authority: Any, start_grpc: Callable[..., Any], start_rest: Callable[..., Any]
) -> Callable[..., str]:
    """Starts a server with a certificate for the given names; returns its address."""

    def start(*names: str) -> str:
        certificate = authority.issue_cert(*names)
        if request.param == "grpcs":
            pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
            return f"grpcs://127.0.0.1:{start_grpc(pair=pair).port}"
        server = start_rest()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
        return f"https://127.0.0.1:{server.port}"

    return start


def test_an_authority_of_ones_own(secure: Callable[..., str], ca_file: str) -> None:
    with Client(secure("127.0.0.1"), tls=Tls(ca_file=ca_file), deadline=30) as client:
        assert client.predict("x").value == "x"


def test_a_process_with_a_thousand_open_files_can_call(secure: Callable[..., str], ca_file: str) -> None:
    """select(2) takes no socket above 1,023."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("a process may not have so many files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        with Client(secure("127.0.0.1"), tls=Tls(ca_file=ca_file), deadline=30) as client:
            assert client.predict("x").value == "x"
    finally:
        for file in files:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_an_authority_of_ones_own_async(secure: Callable[..., str], ca_file: str) -> None:
    async with AsyncClient(secure("127.0.0.1"), tls=Tls(ca_file=ca_file), deadline=30) as client:
        assert (await client.predict("x")).value == "x"


def test_an_unknown_authority_is_refused(secure: Callable[..., str]) -> None:
    with (
        Client(secure("127.0.0.1"), deadline=30) as client,
        pytest.raises(SetupError, match="is not trusted") as caught,
    ):
        client.predict("x")
    assert caught.value.code == "CERTIFICATE"


def test_another_host_name_is_refused(secure: Callable[..., str], ca_file: str) -> None:
    client = Client(secure("other.example"), tls=Tls(ca_file=ca_file), deadline=30)
    with client, pytest.raises(SetupError, match="is for another host name"):
        client.predict("x")


@pytest.mark.parametrize("name", ["127.0.0.1", "other.example", "*.other.example"])
def test_without_verification_anything_goes(secure: Callable[..., str], name: str) -> None:
    with Client(secure(name), tls=Tls(verify=False), deadline=30) as client:
        assert client.predict("x").value == "x"
        assert client.predict("y").value == "y"


async def test_without_verification_anything_goes_async(secure: Callable[..., str]) -> None:
    async with AsyncClient(secure("other.example"), tls=Tls(verify=False), deadline=30) as client:
        assert (await client.predict("x")).value == "x"


def test_tls_where_there_is_none(grpc_echo: Any, rest_echo: Any) -> None:
    for scheme, server in (("grpcs", grpc_echo), ("https", rest_echo)):
        for tls in (Tls(), Tls(verify=False)):
            client = Client(f"{scheme}://127.0.0.1:{server.port}", tls=tls, retries=Retries(attempts=1))
            with client, pytest.raises(Unavailable, match="cannot reach"):
                client.predict("x")


def test_a_ca_file_that_is_not_there(secure: Callable[..., str]) -> None:
    with pytest.raises(SetupError, match="CA file /no/such/file"):
        Client(secure("127.0.0.1"), tls=Tls(ca_file="/no/such/file")).predict("x")
