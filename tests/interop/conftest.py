"""One service for all clients, in plain text and with TLS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from penstock.serving.settings import Settings
from penstock.serving.tls import Tls

from ..serving.conftest import MODELS, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Called:
    """A service to call.

    Attributes:
        grpc: ``host:port``.
        http: ``http://host:port`` or ``https://host:port``.
        ca: of the certificate; None where connections are plain text.
    """

    grpc: str
    http: str
    ca: Path | None


@pytest.fixture(scope="session", params=["plain", "tls"])
def called(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Called]:
    ca, tls = (None, None) if request.param == "plain" else _certificate(tmp_path_factory.mktemp("tls"))
    # 1,000 calls at once may take long on a machine with other work; deadlines are tried by the callers' own.
    settings = Settings(model=MODELS / "units", grpc_port=0, http_port=0, deadline=60, grpc_engine="penstock", tls=tls)
    with served(settings) as running:
        yield Called(running.grpc, running.http, ca)


def _certificate(folder: Path) -> tuple[Path, Tls]:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    paths = [folder / name for name in ("ca.pem", "certificate.pem", "key.pem")]
    authority.cert_pem.write_to_path(paths[0])
    certificate.cert_chain_pems[0].write_to_path(paths[1])
    certificate.private_key_pem.write_to_path(paths[2])
    return paths[0], Tls(paths[1], paths[2], None)
