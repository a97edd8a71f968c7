"""An hour of steady records through one exactly-once worker: is its memory flat, and is all of it answered once?

    python -m bench.soak [--minutes 60] [--rate 500] [--folder FOLDER] [--chart docs/soak.svg]

A broker of its own, one worker on the pipe, keyed JSON records of which one in 64 is bad. Every ten seconds the worker
is looked at (`samples.csv` in the folder has what is there so far). At the end all results and dead letters are read
and judged as the kill harness does it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import time
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import numpy as np
from bench.soak_chart import chart
from tests.chaos.crew import Crew
from tests.chaos.feed import Feed
from tests.chaos.harness import STREAM, Setting, write_spec
from tests.chaos.topics import Topics, until
from tests.chaos.verdict import judge

from penstock.deploy.kafka import broker

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psutil

RESULTS = Path(__file__).with_name("results") / "soak.json"
_PARTITIONS = 3
_EVERY = 10.0
_WARM_UP_MINUTES = 10.0
_MINUTE = 60.0
_MEGA = 1 << 20
_FLAT_MEGABYTES, _FLAT_SHARE = 2.0, 0.02  # what the last third may have more than the first: the larger of the two


class Watched(Protocol):
    """A process at one moment."""

    @property
    def second(self) -> float:
        """Since the beginning."""

    @property
    def rss_mb(self) -> float:
        """Resident memory, in MiB."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The worker at one moment.

    Attributes:
        second: since the first record.
        rss_mb: its resident memory, in MiB.
        pss_mb: the same, with its share only of what it shares with other processes.
        answered: records whose offset is committed.
        lag: records that are written and not committed.
        files: open file descriptors.
        threads: threads.
        cpu_seconds: that it has used so far.
    """

    second: float
    rss_mb: float
    pss_mb: float
    answered: int
    lag: int
    files: int
    threads: int
    cpu_seconds: float


def soak(folder: Path, minutes: float, rate: float) -> tuple[list[Sample], dict[str, Any]]:
    """Run it; what was seen on the way, and the counts at the end."""
    records = int(minutes * _MINUTE * rate)
    with broker(folder / "kafka") as kafka:
        name = f"soak-{uuid4().hex[:8]}"
        topics = Topics(kafka.address, name, _PARTITIONS)
        spec = write_spec(folder, name, kafka.address, Setting("pipe", "exactly_once"))
        crew = Crew([*STREAM[:-1], "60", str(spec)], 1, folder)
        feed = Feed(kafka.address, topics.source, records, rate)
        try:
            until(lambda: "ready" in crew.logs[0].read_text(), 60, "a worker that is ready")
            feed.start()
            samples = _watch(crew.process(0), feed, topics, records, folder / "samples.csv")
            feed.check()
            exits = crew.stop()
        finally:
            feed.stop()
            crew.end()
        verdict = judge(records, topics.read(isolation="read_committed"))
    return samples, asdict(verdict) | {"worker_exit": exits[0], "worker_ended_by_itself": crew.gave_up}


def _watch(worker: psutil.Process, feed: Feed, topics: Topics, records: int, path: Path) -> list[Sample]:
    samples: list[Sample] = []
    began = time.monotonic()
    with path.open("w", newline="") as file:
        lines = csv.DictWriter(file, [field.name for field in fields(Sample)])
        lines.writeheader()
        while not samples or samples[-1].answered < records:
            wait = (len(samples) + 1) * _EVERY - (time.monotonic() - began)
            time.sleep(max(0.0, min(wait, _EVERY)))
            samples.append(_sample(worker, feed, topics, time.monotonic() - began))
            lines.writerow(asdict(samples[-1]))
            file.flush()
            feed.check()
            stuck = len(samples) > 60 and samples[-1].answered == samples[-60].answered
            assert not stuck, "nothing was answered for ten minutes"
    return samples


def _sample(worker: psutil.Process, feed: Feed, topics: Topics, second: float) -> Sample:
    memory, times = worker.memory_full_info(), worker.cpu_times()
    # The order matters: what is answered after the count of what is written would be a negative lag.
    answered = _answered(topics)
    return Sample(
        round(second, 1),
        round(memory.rss / _MEGA, 2),
        round(memory.pss / _MEGA, 2),
        answered,
        feed.delivered - answered,
        worker.num_fds(),
        worker.num_threads(),
        round(times.user + times.system, 1),
    )


def _answered(topics: Topics) -> int:
    counts: list[int] = []

    def ask() -> bool:
        counts.append(sum(topics.committed().values()))
        return True

    until(ask, 120, "an answer of the broker")
    return counts[-1]


def memory(samples: Sequence[Watched], *, warm_up: float) -> dict[str, Any]:
    """Whether the resident memory is flat after so many seconds.

    Slope and error are those of a straight line through the means of each minute: samples of the same minute are not
    independent of each other.
    """
    settled = [sample for sample in samples if sample.second >= warm_up]
    minute = [int(sample.second // _MINUTE) for sample in settled]
    means = [
        np.mean([s.rss_mb for s, m in zip(settled, minute, strict=True) if m == each]) for each in sorted({*minute})
    ]
    third = len(settled) // 3
    first, last = (float(np.mean([s.rss_mb for s in part])) for part in (settled[:third], settled[-third:]))
    slope, error = _line(np.array(means))
    return {
        "after_minutes": warm_up / _MINUTE,
        "rss_mb_first_third": round(first, 2),
        "rss_mb_last_third": round(last, 2),
        "slope_mb_per_hour": round(slope * _MINUTE, 3),
        "slope_error_mb_per_hour": round(error * _MINUTE, 3),
        "rss_mb_highest": max(sample.rss_mb for sample in samples),
        "flat": last - first <= max(_FLAT_MEGABYTES, _FLAT_SHARE * first),
    }


def _line(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """Slope of a straight line through equally spaced values, and the standard error of the slope."""
    places = np.arange(len(values)) - (len(values) - 1) / 2
    spread = float(places @ places)
    slope = float(places @ values) / spread
    rest = values - values.mean() - slope * places
    return slope, float(np.sqrt(rest @ rest / max(1, len(values) - 2) / spread))


def report(samples: Sequence[Sample], counts: dict[str, Any], minutes: float, rate: float) -> dict[str, Any]:
    """All of it, as it is kept."""
    lags = [sample.lag for sample in samples[:-1]]
    last = samples[-1]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "about": {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": commit.stdout.strip(),
            "cores": os.cpu_count(),
            "load": [round(each, 1) for each in os.getloadavg()],
            "python": python_version(),
            "confluent-kafka": version("confluent-kafka"),
            "minutes": minutes,
            "records_per_second": rate,
        },
        "outcomes": counts,
        "memory": memory(samples, warm_up=min(_WARM_UP_MINUTES, minutes / 6) * _MINUTE),
        "lag": {"median": float(np.median(lags)), "highest": max(lags)},
        "files": {"first": samples[0].files, "last": last.files, "highest": max(s.files for s in samples)},
        "threads": {"first": samples[0].threads, "last": last.threads, "highest": max(s.threads for s in samples)},
        "cpu_seconds_per_1000_records": round(1000 * last.cpu_seconds / last.answered, 3),
        "samples": {field.name: [getattr(s, field.name) for s in samples] for field in fields(Sample)},
    }


def keep(result: dict[str, Any], file: Path, picture: Path | None) -> None:
    """Write all of it, draw its samples where a picture is wanted, and print the rest."""
    file.write_text(json.dumps(result, indent=1) + "\n")
    if picture:
        picture.write_text(chart(result["samples"]))
    print(json.dumps({name: part for name, part in result.items() if name != "samples"}, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=500.0, help="records a second")
    parser.add_argument("--folder", type=Path, help="for the broker, logs and samples; kept at the end")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--chart", type=Path, help="an SVG of memory and lag")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="penstock-soak-") as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        samples, counts = soak(folder, options.minutes, options.rate)
        result = report(samples, counts, options.minutes, options.rate)
    keep(result, options.results, options.chart)


if __name__ == "__main__":
    main()
