"""The kill harness of tests/chaos at length: more records, more blows, other seeds, either engine.

    python -m bench.chaos [--records 100000] [--signals 12] [--seed N] [--only exactly]

Runs the pipe exactly once, the pipe at least once and Faust at least once under the same schedule, each on the same
broker, which is killed like the workers. Ends with an error where one of them does not keep what it promises. A seed
that is not given is chosen, and printed: with it the run can be repeated.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tests.chaos.harness import Setting, run
from tests.chaos.schedule import drawn

from penstock.deploy.kafka import broker

if TYPE_CHECKING:
    from tests.chaos.harness import Report

RESULTS = Path(__file__).with_name("results") / "chaos.json"
SETTINGS = {
    "pipe, exactly once": ("pipe", "exactly_once"),
    "pipe, at least once": ("pipe", "at_least_once"),
    "faust, at least once": ("faust", "at_least_once"),
}


def is_kept(report: Report, guarantee: str) -> bool:
    """Whether the guarantee has held."""
    verdict = report.verdict
    if guarantee == "exactly_once":
        return (verdict.lost, verdict.doubled, verdict.wrong, verdict.disordered) == (0, 0, 0, 0)
    return (verdict.lost, verdict.wrong) == (0, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--signals", type=int, default=12)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--rate", type=float, default=500.0, help="records a second")
    parser.add_argument("--only", default="", help="a part of the name: " + ", ".join(SETTINGS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    schedule = drawn(options.seed, options.records, signals=options.signals)
    print(schedule, flush=True)
    runs: dict[str, Any] = {}
    broken = []
    with TemporaryDirectory(prefix="penstock-chaos-") as base, broker(Path(base) / "broker") as kafka:
        for number, (name, (engine, guarantee)) in enumerate(SETTINGS.items()):
            if options.only not in name:
                continue
            folder = Path(base) / str(number)
            folder.mkdir()
            began = time.monotonic()
            report = run(kafka, folder, schedule, Setting(engine, guarantee, options.rate))
            runs[name] = asdict(report) | {"aborted": report.aborted}
            print(f"{name}: {runs[name]}, {time.monotonic() - began:.0f} s in all", flush=True)
            broken += [] if is_kept(report, guarantee) else [name]
    signals = [asdict(signal) for signal in schedule.signals]
    about = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "seed": options.seed, "signals": signals}
    options.results.write_text(json.dumps({"about": about, "runs": runs}, indent=1) + "\n")
    if broken:
        sys.exit(f"not kept: {', '.join(broken)}")


if __name__ == "__main__":
    main()
