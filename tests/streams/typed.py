"""The command line as it is typed, in this process: a dozen new ones would take most of a test's time."""

from __future__ import annotations

import io
import sys
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest.mock import patch

from penstock.cli import main


class Ran(NamedTuple):
    code: int
    stdout: str
    stderr: str


def typed(*arguments: str, stdin: bytes = b"") -> Ran:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    code = 0
    with ExitStack() as stack:
        stack.enter_context(patch.object(sys, "argv", ["penstock", *arguments]))
        stack.enter_context(patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))))
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Ran(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))
