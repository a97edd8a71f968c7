"""One contestant on the course: its topics, its start, the watching, the check of its answers."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import psutil
from bench.streams.answers import Answers
from bench.streams.contestants import Task
from bench.streams.feeding import content, create, fill
from bench.streams.watching import Ends, rate, watch
from confluent_kafka import Producer
from tests.peers.models import train_iris

if TYPE_CHECKING:
    from pathlib import Path

    from bench.streams.contestants import Contestant, Running
    from bench.streams.feeding import Feed
    from bench.streams.watching import Rate

_SECONDS = 300.0  # for one contestant, once
_PROFILE_SECONDS = "20"


class Course:
    """A broker with filled topics, and the model."""

    def __init__(self, address: str, folder: Path, records: int, partitions: int) -> None:
        self._address = address
        self._folder = folder
        self._records = records
        self._partitions = partitions
        self._model = folder / "iris.onnx"
        train_iris(self._model)
        self._filled: dict[Feed, str] = {}

    def run(self, contestant: Contestant, profile: Path | None) -> Rate:
        """Start it, watch it, check what it has written.

        Raises:
            AssertionError: an answer is missing, doubled or wrong. DidNotStart: it ended at once.
        """
        name = f"bench-{uuid4().hex[:8]}"
        feed = contestant.feed(self._records)
        folder = self._folder / name
        folder.mkdir()
        source = f"{name}-in" if contestant.starts_at_the_end else self._source(feed)
        task = Task(self._address, source, f"{name}-out", name, self._model, folder)
        if contestant.starts_at_the_end:
            create(self._address, [source], self._partitions)
        create(self._address, [task.sink], self._partitions)
        with contestant.start(task) as running, ExitStack() as stack:
            if contestant.starts_at_the_end:
                self._warm_up(task, feed)
                fill(self._address, source, self._partitions, feed)
            if profile is not None:
                self._await_results(task)  # what it costs to start is another question
                stack.enter_context(_spied(running, profile / f"{contestant.name}.txt"))
            try:
                return self._look(task, running, feed)
            except AssertionError as error:
                error.add_note(task.log.read_text(errors="replace")[-3000:])
                raise

    def _look(self, task: Task, running: Running, feed: Feed) -> Rate:
        worker = psutil.Process(running.worker)
        marks = watch(
            Ends(self._address, task.sink, self._partitions),
            running.worker,
            running.service,
            feed.records,
            seconds=_SECONDS,
            is_alive=lambda: worker.status() != psutil.STATUS_ZOMBIE,
        )
        answers = Answers(self._partitions)
        answers.read(self._address, task.sink, feed, _SECONDS)
        answers.compare(self._model, feed)
        return rate(marks, [answers.before(mark.ends) for mark in marks], feed.records)

    def _await_results(self, task: Task) -> None:
        ends = Ends(self._address, task.sink, self._partitions)
        deadline = time.monotonic() + _SECONDS
        while not sum(ends()):
            assert time.monotonic() < deadline, "no answer at all"
            time.sleep(0.01)

    def _source(self, feed: Feed) -> str:
        if feed not in self._filled:
            topic = f"bench-{uuid4().hex[:8]}-in"
            create(self._address, [topic], self._partitions)
            fill(self._address, topic, self._partitions, feed)
            self._filled[feed] = topic
        return self._filled[feed]

    def _warm_up(self, task: Task, feed: Feed) -> None:
        """Ask until every partition is read; the harness passes over these answers."""
        producer = Producer({"bootstrap.servers": self._address, "log_level": 3})
        ends = Ends(self._address, task.sink, self._partitions)
        value, headers = content(0, feed)
        deadline = time.monotonic() + 60
        for partition in range(self._partitions):
            before = sum(ends())
            while sum(ends()) == before:
                assert time.monotonic() < deadline, f"no answer at all:\n{task.log.read_text()[-3000:]}"
                producer.produce(task.source, value, b"warm-up", partition=partition, headers=headers)
                producer.flush()
                time.sleep(0.2)


def _spied(running: Running, file: Path) -> subprocess.Popen[bytes]:
    """py-spy on the worker, for as long as it runs."""
    file.parent.mkdir(parents=True, exist_ok=True)
    worker = psutil.Process(running.worker).children()[0]  # of the tether
    command = ["py-spy", "record", "-p", str(worker.pid), "-d", _PROFILE_SECONDS, "-r", "500", "-g", "-f", "raw"]
    return subprocess.Popen([*command, "-o", str(file)], stdout=subprocess.DEVNULL)
