"""h2spec, whole, against a service, in plain text and over TLS: 145 rules of RFC 9113 and RFC 7541."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import trustme

from penstock.serving.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..conftest import Served

_MODULE: Final = Path(__file__).parent / "h2spec"  # pins what h2spec, which is older than Go's modules, does not


@pytest.fixture(scope="session")
def h2spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program: the one that is here, or built from the Go module."""
    found = shutil.which("h2spec", path=f"{os.environ.get('PATH', '')}:{Path.home() / 'go' / 'bin'}")
    if found:
        return found
    go = shutil.which("go")
    if go is None:
        pytest.skip("needs h2spec, or Go to build it")
    program = str(tmp_path_factory.mktemp("h2spec") / "h2spec")
    # -p 2: compiling takes all cores otherwise, and other tests run beside.
    command = [go, "build", "-p", "2", "-o", program, "github.com/summerwind/h2spec/cmd/h2spec"]
    environment = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false"}
    built = subprocess.run(command, cwd=_MODULE, env=environment, capture_output=True, text=True)
    if built.returncode and "dial tcp" in built.stderr:
        pytest.skip("the modules cannot be fetched: no network")
    assert not built.returncode, built.stderr
    return program


@pytest.fixture(params=["plain", "tls"])
def secured(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, Any], list[str]]:
    """What the service is told for it, and what h2spec is."""
    if request.param == "plain":
        return {}, []
    issued = trustme.CA().issue_cert("127.0.0.1")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    return {"tls": Tls(certificate, key)}, ["-t", "-k"]


def test_h2spec_is_content(
    serve: Callable[..., Served], h2spec: str, secured: tuple[dict[str, Any], list[str]]
) -> None:
    settings, options = secured
    host, _, port = serve("units", grpc_engine="penstock", **settings).grpc.rpartition(":")
    # A path whose answer has more than four bytes: with less, h2spec skips the rule of the negative window.
    command = [h2spec, *options, "-h", host, "-p", port, "-P", "/metadata", "-o", "5"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert told.returncode == 0, told.stdout[told.stdout.find("Failures:") :]
    assert told.stdout.strip().splitlines()[-1] == "145 tests, 145 passed, 0 skipped, 0 failed"
