"""How many records a second a worker of a stream answers, beside a loop by hand, plain Faust and other makers'.

    python -m bench.stream [--records 300000] [--rounds 3] [--only NAME] [--partitions 1] [--kafka HOST:PORT]

A real broker, each contestant started as a user would, the iris classifier as ONNX with one thread, keyed JSON records
of one row that are in the topic before it starts (but for MLServer, which reads only what comes later, and only V2
JSON). They take turns, round by round, so that a busy machine slows down all of them. The rate is taken between the
first and the last tenth of the results that are committed, with the processor time of the worker, and every answer is
compared with onnxruntime's own.
"""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.streams import reporting
from bench.streams.contestants import ALL
from bench.streams.running import Course
from tests.peers.programs import DidNotStart

if TYPE_CHECKING:
    from bench.streams.contestants import Contestant
    from bench.streams.watching import Rate

# librdkafka fetches 100,000 records ahead: with no more than that, fetching would be over before the first tenth.
_RECORDS = 300_000
_QUICK = 20_000


def main() -> None:
    options = _options()
    if options.write_docs:
        reporting.write_page()
        return
    from penstock.deploy.kafka import broker

    commit, load = reporting.commit(), os.getloadavg()[0]
    with TemporaryDirectory() as folder, nullcontext() if options.kafka else broker(Path(folder)) as running:
        course = Course(options.kafka or running.address, Path(folder), options.records, options.partitions)
        rounds, failed = _measure(course, _chosen(options.only), options)
    settings = {"commit": commit, "load": load, "records": options.records, "partitions": options.partitions}
    result = reporting.summary(rounds, settings)
    print(reporting.text(result, as_json=options.json))
    if not options.only and not options.quick and not failed:
        print(f"kept in {reporting.keep(result)}")
    if failed:
        raise SystemExit("\n".join(f"{name} is left out: {why}" for name, why in failed.items()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.stream", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=_RECORDS, help="the slow ones get a part of them (300000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often they take turns (3)")
    parser.add_argument("--partitions", type=int, default=1, help="of each topic (1)")
    parser.add_argument(
        "--only", action="append", default=[], help="those with this text in their name; may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="one round of 20000 records; nothing is kept")
    parser.add_argument("--kafka", default="", help="a broker that is there; one is started where not given")
    parser.add_argument("--profile", type=Path, help="folder for a py-spy profile (raw stacks) of each worker")
    parser.add_argument("--json", action="store_true", help="print the result as JSON instead of a table")
    parser.add_argument("--write-docs", action="store_true", help="only write the kept result into docs/bench.md")
    options = parser.parse_args()
    if options.quick:
        options.records, options.rounds = _QUICK, 1
    return options


def _chosen(texts: list[str]) -> list[Contestant]:
    chosen = [each for each in ALL if not texts or any(text.lower() in each.name.lower() for text in texts)]
    if not chosen:
        raise SystemExit(f"nobody has one of {texts} in their name; there are: {', '.join(each.name for each in ALL)}")
    return chosen


def _measure(
    course: Course, contestants: list[Contestant], options: argparse.Namespace
) -> tuple[dict[str, list[Rate]], dict[str, str]]:
    """The rounds of each, and why some are not among them."""
    rounds: dict[str, list[Rate]] = {each.name: [] for each in contestants}
    failed: dict[str, str] = {}
    for turn in range(options.rounds):
        first = turn * 3 % len(contestants)  # nobody is always the one after the same other
        for each in contestants[first:] + contestants[:first]:
            if each.name in failed:
                continue
            try:
                found = course.run(each, options.profile)
            except (AssertionError, DidNotStart) as error:
                failed[each.name] = "\n".join([str(error), *getattr(error, "__notes__", [])])
                continue
            rounds[each.name].append(found)
            print(reporting.line(turn, each.name, found), flush=True)
    return {name: found for name, found in rounds.items() if name not in failed}, failed


if __name__ == "__main__":
    main()
