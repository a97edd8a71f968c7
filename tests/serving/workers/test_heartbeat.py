"""A worker that lives and does not answer is replaced; one whose model is busy is not."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from penstock.proto import SetupError
from penstock.serving import Settings
from penstock.serving.workers import parent
from penstock.serving.workers.handing import Hand, accept
from penstock.serving.workers.heartbeat import hung

from .conftest import asked, fleet, one_each, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Fleet

pytestmark = pytest.mark.xdist_group("workers")  # they share a service, so they share a process, too


@pytest.fixture(scope="module")
def watched(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    options = ("--model", str(model), "--deadline", "1", "--worker-timeout", "4")
    with fleet(tmp_path_factory.mktemp("watched"), *options) as running:
        yield running


def test_a_long_run_of_the_model_is_not_silence(watched: Fleet) -> None:
    """The first of those with `watched`: a model that was short so far would run in the event loop."""
    before = {worker.pid for worker in watched.workers()}
    with watched.client() as client:
        late = client.post("/predict", json={"data": {"ndarray": [[7.0]]}})
        assert late.status_code == 504
        # Behind the run of seven seconds, in the same thread of the same process.
        wait_for(lambda: client.post("/predict", json={"data": {"ndarray": [[0.0]]}}).status_code == 200)
        assert asked(client) in before
    assert {worker.pid for worker in watched.workers()} == before
    assert "has not answered" not in watched.log.read_text()


def test_a_worker_that_is_stopped_is_replaced(watched: Fleet) -> None:
    stopped, other = watched.workers()
    stopped.send_signal(signal.SIGSTOP)
    said = f"(process {stopped.pid}) has not answered for 5 s, and is killed"
    wait_for(lambda: said in watched.log.read_text())
    wait_for(lambda: "is there again" in watched.log.read_text())
    assert f"(process {stopped.pid}) was killed by SIGKILL" in watched.log.read_text()
    assert not stopped.is_running()
    with one_each(watched) as clients:
        answered = {asked(client) for client in clients}
    assert answered == {worker.pid for worker in watched.workers()}
    assert other.pid in answered


class Silent:
    """A worker as `hung` sees it; it answers the questions of which the numbers are given."""

    def __init__(self, *answers: int) -> None:
        self.hand = self
        self.has_spoken = True
        self.is_quiet = False
        self.beats = 0
        self.quiet: list[bool] = []
        self._answers = answers

    def beat(self) -> None:
        self.quiet.append(self.is_quiet)
        self.beats += 1
        self.has_spoken = self.beats in self._answers


async def test_it_is_hung_after_ten_questions_in_a_row_and_passed_over_after_one() -> None:
    worker = Silent(1, 5)
    await hung(worker, 0.01)  # type: ignore[arg-type]
    assert worker.beats == 15
    assert worker.quiet == [False, False, True, True, True, False, *[True] * 9]


async def test_a_parent_that_was_stopped_itself_blames_nobody() -> None:
    worker = Silent(*range(3, 100))
    watching = asyncio.create_task(hung(worker, 0.1))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    time.sleep(0.5)  # noqa: ASYNC251  (this is the stop)
    while worker.beats < 5:  # noqa: ASYNC110  (it tells nobody)
        await asyncio.sleep(0.01)
    assert not watching.done()
    assert not worker.is_quiet
    watching.cancel()


async def test_who_is_quiet_gets_connections_only_where_all_are() -> None:
    (giving, taking), (other_giving, other_taking) = socket.socketpair(), socket.socketpair()
    quiet, busy = Hand(giving), Hand(other_giving)
    quiet.is_quiet, busy.open = True, 5
    with taking, other_taking, socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as clients:
        listener.settimeout(0)
        accepting = asyncio.create_task(accept(listener, lambda: [quiet, busy]))
        for expected in ((0, 6), (1, 6)):
            clients.enter_context(socket.create_connection(listener.getsockname()))
            while quiet.open + busy.open < sum(expected):  # noqa: ASYNC110  (nobody tells)
                await asyncio.sleep(0.01)
            assert (quiet.open, busy.open) == expected
            busy.is_quiet = True
        accepting.cancel()
    quiet.close()
    busy.close()


class Loading:
    """A worker of which each try but the last loads its model for ever."""

    tries: ClassVar[list[Loading]] = []
    pid = 5
    was_stopped = False

    @classmethod
    async def start(cls, *_: Any) -> Loading:
        cls.tries.append(cls())
        return cls.tries[-1]

    async def ready(self) -> None:
        if len(self.tries) < 3:
            await asyncio.Event().wait()

    async def stop(self, grace: float) -> None:
        self.was_stopped = grace == 0


async def test_a_worker_that_does_not_get_ready_again_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parent, "Worker", Loading)
    monkeypatch.setattr(parent, "_LONG_LOAD", 0.25)
    monkeypatch.setattr(Loading, "tries", [])
    fleet = parent.Fleet(Settings(tmp_path))
    async with asyncio.timeout(60):
        await fleet._restart("7", 0.01)
    assert [worker.was_stopped for worker in Loading.tries] == [True, True, False]
    said = [text for text in caplog.messages if "7 cannot start (it had not loaded its model after" in text]
    assert len(said) == 2


async def test_a_worker_may_load_as_long_as_it_likes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "Worker", Loading)
    monkeypatch.setattr(parent, "_LONG_LOAD", 0.0)
    monkeypatch.setattr(Loading, "tries", [])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await parent.Fleet(Settings(tmp_path, worker_timeout=0))._restart("7", 0.01)
    assert len(Loading.tries) == 1


def test_a_time_below_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="worker_timeout is"):
        Settings(tmp_path, worker_timeout=-1)
