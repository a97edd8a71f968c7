"""h2spec, whole, against a service: 145 rules of RFC 9113 and RFC 7541."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..conftest import Served

_VERSION = "v2.2.1+incompatible"


@pytest.fixture(scope="session")
def h2spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program: the one that is here, or built from the Go module."""
    found = shutil.which("h2spec", path=f"{os.environ.get('PATH', '')}:{Path.home() / 'go' / 'bin'}")
    if found:
        return found
    if not shutil.which("go"):
        pytest.skip("needs h2spec, or Go to build it")
    folder = tmp_path_factory.mktemp("h2spec")
    command = ["go", "install", f"github.com/summerwind/h2spec/cmd/h2spec@{_VERSION}"]
    built = subprocess.run(command, env={**os.environ, "GOBIN": str(folder)}, capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f"needs h2spec, which Go could not build: {built.stderr.strip().splitlines()[-1]}")
    return str(folder / "h2spec")


def test_h2spec_is_content(serve: Callable[..., Served], h2spec: str) -> None:
    host, _, port = serve("units", grpc_engine="penstock").grpc.rpartition(":")
    command = [h2spec, "-h", host, "-p", port, "-P", "/health/ping", "-o", "5"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=240)
    summary = told.stdout.strip().splitlines()[-1]
    assert told.returncode == 0, told.stdout[told.stdout.find("Failures:") :]
    assert summary.startswith("145 tests, ")
    assert summary.endswith(" 0 failed")
