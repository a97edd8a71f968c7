"""Fuzz every target with atheris, ten minutes in all: ``python -m tests.fuzz.run [--seconds 600] [TARGET ...]``.

Ends with 1 where a target crashed, took longer than 10 s for an input, or more than 1 GB of memory; the input is left
in the folder that is told. What was new is told, too; `--keep` adds it to the corpus, made small by libFuzzer's merge.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from .fuzzing import HERE, TARGETS, target


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
    failed = [name for name in told.targets if not _fuzz(name, seconds, keep=told.keep)]
    print(f"failed: {', '.join(failed)}" if failed else "nothing failed")
    return 1 if failed else 0


def _fuzz(name: str, seconds: int, *, keep: bool) -> bool:
    kept = HERE / "corpus" / name
    found = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    print(f"{name}: {seconds} s, in {found}", flush=True)
    command = [sys.executable, "-m", "tests.fuzz.run", "--one", name]
    bounds = [
        f"-max_total_time={seconds}",
        "-timeout=10",
        "-rss_limit_mb=1024",
        "-max_len=4096",
        "-print_final_stats=1",
    ]
    done = subprocess.run([*command, str(found), str(kept), f"-artifact_prefix={found}/failed-", *bounds], check=False)
    if keep and done.returncode == 0:
        subprocess.run([*command, "-merge=1", str(kept), str(found)], check=False)
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
