"""The keeper of borrowed servers, with commands that leave processes behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from penstock.deploy import tether
from penstock.deploy.locks import together
from penstock.deploy.processes import ended, start, stop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LEAVING = "sleep 100 & echo $! > left; exec sleep 100"


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="processes elsewhere have other shells")
def test_what_a_killed_command_has_left_is_ended(tmp_path: Path) -> None:
    command = (sys.executable, "-I", "-S", tether.__file__, str(tmp_path / "users"), str(tmp_path / "none"))
    with together(tmp_path / "users"):
        output = tmp_path / "out"
        keeper = start([*command, "sh", "-c", LEAVING], folder=tmp_path, output=output, environment=dict(os.environ))
        try:
            until(lambda: (tmp_path / "left").exists() and (tmp_path / "left").read_text().endswith("\n"))
            left = psutil.Process(int((tmp_path / "left").read_text()))
            (child,) = keeper.children()
            child.send_signal(signal.SIGKILL)
            until(lambda: ended(left))
            until(lambda: ended(keeper))
        finally:
            stop(keeper, grace=5)
