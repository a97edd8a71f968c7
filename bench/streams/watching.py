"""Looking at a contestant while it works: how far its committed results are, what it takes of processor and memory."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_EVERY = 0.025  # seconds between two looks; one costs well under a millisecond
_FAMILY_EVERY = 1.0
_MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Mark:
    """One look.

    Attributes:
        at: seconds, of a clock that only goes forward.
        ends: for each partition the offset up to which a reader of committed records can read.
        worker_cpu: seconds of processor time that the worker's processes have used.
        service_cpu: the same of the model's service; 0 where the model is in the worker.
        memory: megabytes that the worker's processes have.
    """

    at: float
    ends: tuple[int, ...]
    worker_cpu: float
    service_cpu: float
    memory: float


class Ends:
    """The last stable offsets of a topic, asked of the broker without reading a record."""

    def __init__(self, address: str, topic: str, partitions: int) -> None:
        self._admin = AdminClient({"bootstrap.servers": address, "log_level": 3})
        self._parts = [TopicPartition(topic, each) for each in range(partitions)]

    def __call__(self) -> tuple[int, ...]:
        asked = self._admin.list_offsets(
            dict.fromkeys(self._parts, OffsetSpec.latest()), isolation_level=IsolationLevel.READ_COMMITTED
        )
        return tuple(asked[part].result(30).offset for part in self._parts)


class Family:
    """A process and all that it has started."""

    def __init__(self, pid: int | None) -> None:
        self._first = None if pid is None else psutil.Process(pid)
        self._members: list[psutil.Process] = []
        self._renewed = 0.0

    def look(self) -> tuple[float, float]:
        """Seconds of processor time and megabytes of memory."""
        cpu = memory = 0.0
        for member in self._now():
            with suppress(psutil.NoSuchProcess):
                times = member.cpu_times()
                cpu += times.user + times.system
                memory += member.memory_info().rss / _MEGABYTE
        return cpu, memory

    def _now(self) -> list[psutil.Process]:
        if self._first is not None and time.monotonic() - self._renewed > _FAMILY_EVERY:
            self._members = [self._first, *self._first.children(recursive=True)]
            self._renewed = time.monotonic()
        return self._members


def watch(
    ends: Ends, worker: int, service: int | None, until: int, *, seconds: float, is_alive: Callable[[], bool]
) -> list[Mark]:
    """Look until ``until`` offsets are committed; one mark for each time that something has come.

    Raises:
        AssertionError: it took longer than ``seconds``, or the worker ended.
    """
    working, serving = Family(worker), Family(service)
    marks: list[Mark] = []
    deadline = time.monotonic() + seconds
    while not marks or sum(marks[-1].ends) < until:
        now = time.perf_counter()
        seen = ends()
        if not marks or seen != marks[-1].ends:
            cpu, memory = working.look()
            marks.append(Mark(now, seen, cpu, serving.look()[0], memory))
        assert is_alive(), "the worker has ended"
        assert time.monotonic() < deadline, f"{sum(seen)} of {until} results after {seconds:.0f} s"
        time.sleep(max(0.0, now + _EVERY - time.perf_counter()))
    return marks


@dataclass(frozen=True, slots=True)
class Rate:
    """One contestant, once.

    Attributes:
        records_per_second: between the first and the last tenth of the results.
        worker_cpu: seconds of processor time that the worker used for 1,000 records.
        service_cpu: the same of the model's service.
        memory: megabytes of the worker at most.
    """

    records_per_second: float
    worker_cpu: float
    service_cpu: float
    memory: float


def rate(marks: Sequence[Mark], results: Sequence[int], total: int) -> Rate:
    """From marks, the number of results at each, and how many there are in the end."""
    middle = [at for at, count in enumerate(results) if total * 0.1 <= count <= total * 0.9]
    assert len(middle) > 1, "too few commits to take a rate from: more records, or smaller transactions"
    first, last = middle[0], middle[-1]
    start, end, count = marks[first], marks[last], results[last] - results[first]
    return Rate(
        count / (end.at - start.at),
        (end.worker_cpu - start.worker_cpu) * 1000 / count,
        (end.service_cpu - start.service_cpu) * 1000 / count,
        max(mark.memory for mark in marks),
    )
