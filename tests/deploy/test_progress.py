"""What is shown while something takes time."""

from __future__ import annotations

import io

from rich.console import Console

from penstock.deploy.progress import during


def test_a_terminal_sees_what_goes_on_and_for_how_long() -> None:
    out = io.StringIO()
    with during(Console(file=out, width=80, force_terminal=True), "starting it"):
        pass
    assert "starting it" in out.getvalue()
    assert "0:00:00" in out.getvalue()


def test_a_pipe_gets_one_line_and_nobody_none() -> None:
    out = io.StringIO()
    with during(Console(file=out), "starting it"), during(None, "nothing"):
        pass
    assert out.getvalue() == "starting it\n"
