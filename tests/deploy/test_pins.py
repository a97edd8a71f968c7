"""Renewing pins that were named one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penstock.deploy.artifacts import fetch
from penstock.deploy.pins import as_toml, main, read_pins

if TYPE_CHECKING:
    from .conftest import Repository

# jgo does not close an answer that is not 200; the collector does, while the test still runs (see the fixture).
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_a_list_without_an_endpoint_is_pinned_anew_file_by_file(repository: Repository) -> None:
    lock = repository.lock
    lock.write_text(lock.read_text().replace('endpoint = "org.example:part1:1.1"', 'endpoint = ""'))
    before = read_pins(lock)
    repository.files["part4-2.0-linux.nar"] = b"new"
    added = f'    {{ at = "org.example:part4:2.0:linux", sha256 = "{"0" * 64}", size = 1, packaging = "nar" }},\n]'
    lock.write_text(lock.read_text().replace("\n]", f"\n{added}").replace(before.files[1].sha256, "0" * 64))
    main([str(lock)])
    after = read_pins(lock)
    assert after.files[:3] == before.files
    assert (after.files[3].filename, after.files[3].size) == ("part4-2.0-linux.nar", 3)
    assert as_toml(after) == lock.read_text()
    assert len(list(fetch(lock).iterdir())) == 4
