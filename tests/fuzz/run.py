"""Fuzz every target with atheris, ten minutes in all: ``python -m tests.fuzz.run [--seconds 600] [TARGET ...]``.

Ends with 1 where a target crashed, took longer than 10 s for an input, or more than 1 GB of memory; the input is left
in the folder that is told. With `--keep` what reached something new is kept in the corpus.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from .fuzzing import TARGETS, corpus, keep, target


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=TARGETS)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--one", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.one:
        _one(told.one[0], told.one[1:])
    seconds = told.seconds // len(told.targets)
    failed = [name for name in told.targets if not _fuzz(name, seconds, keeps=told.keep)]
    print(f"failed: {', '.join(failed)}" if failed else "nothing failed")
    return 1 if failed else 0


def _fuzz(name: str, seconds: int, *, keeps: bool) -> bool:
    found = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    for count, data in enumerate(corpus(name)):
        (found / f"kept-{count}").write_bytes(data)
    print(f"{name}: {seconds} s, in {found}", flush=True)
    command = [sys.executable, "-m", "tests.fuzz.run", "--one", name, str(found), f"-artifact_prefix={found}/failed-"]
    bounds = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024", "-max_len=4096"]
    done = subprocess.run([*command, *bounds], check=False)
    if keeps and done.returncode == 0:
        keep(name, [path.read_bytes() for path in found.iterdir()])
    return done.returncode == 0


def _one(name: str, arguments: list[str]) -> None:
    """In a process of its own: libFuzzer ends it."""
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=["penstock"]):
        run = target(name)
    atheris.Setup([name, *arguments], run)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
