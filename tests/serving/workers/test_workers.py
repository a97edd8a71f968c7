"""Two workers: who answers whom, what is counted, what happens when one is killed, and how all end."""

from __future__ import annotations

import signal
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import grpc
import httpx
import psutil
import pytest
import trustme

from penstock.proto import SetupError
from penstock.proto import prediction_pb2 as pb
from penstock.serving import Settings

from .conftest import PATIENCE, UNTIL_OPEN, asked, command, fleet, one_each, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Fleet

pytestmark = pytest.mark.xdist_group("workers")  # they share a service, so they share a process, too


@pytest.fixture(scope="module")
def two(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("two"), "--model", str(model)) as running:
        yield running


def test_each_worker_has_as_many_connections_as_the_other(two: Fleet) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(two.client()) for _ in range(8)]
        answered = [asked(client) for client in clients]
        workers = set(answered)
        assert workers == {process.pid for process in two.workers()}
        assert all(answered.count(worker) == 4 for worker in workers)
        assert [asked(client) for client in clients] == answered, "a connection stays where it is"

        # Those that hang up make room: the next go to where they were.
        left = answered[0]
        for client, worker in zip(clients, answered, strict=True):
            if worker == left:
                client.close()

        def all_new_are_there() -> bool:
            with ExitStack() as more:
                return {asked(more.enter_context(two.client())) for _ in range(3)} == {left}

        wait_for(all_new_are_there)


def test_grpc_is_answered_by_both(two: Fleet) -> None:
    workers = {process.pid for process in two.workers()}
    # The parent may not yet have heard of all the connections that were closed before.
    wait_for(lambda: answered_by(two) == workers)


def answered_by(two: Fleet) -> set[float]:
    answered = set()
    for _ in range(2):
        # A channel of its own: by default grpcio shares one connection among the channels of a process.
        with grpc.insecure_channel(two.grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            predict = channel.unary_unary("/seldon.protos.Seldon/Predict", None, pb.SeldonMessage.FromString)
            request = pb.SeldonMessage(data=pb.DefaultData(tensor=pb.Tensor(shape=[1, 1], values=[0.0])))
            kept = [predict(request.SerializeToString()) for _ in range(2)]
            answered.add(kept[0].data.tensor.values[0])
            with two.client() as other:  # holds the place of the channel's connection, while that closes
                answered.add(asked(other))
    return answered


def test_counts_are_of_all_workers_and_outlive_them(two: Fleet) -> None:
    with one_each(two) as (one, other):
        before = two.requests()
        pids = {asked(client) for client in (one, other, one, other, one)}
    assert len(pids) == 2
    assert {two.requests() for _ in range(4)} == {before + 5}, "the same from each"

    killed = two.workers()[0]
    killed.kill()
    killed.wait(PATIENCE)
    # Also while there is one worker only, and after there are two again.
    assert two.requests() == before + 5
    wait_for(lambda: "is there again" in two.log.read_text())
    assert f"(process {killed.pid}) was killed by SIGKILL" in two.log.read_text()
    assert two.requests() == before + 5
    with one_each(two) as clients:
        at = two.requests()
        assert {asked(client) for client in clients} == {process.pid for process in two.workers()}
        assert two.requests() == at + 2


def test_a_stop_answers_what_is_in_flight_everywhere(two: Fleet, model: Path) -> None:
    """The last of those with `two`."""
    workers = two.workers()
    with one_each(two) as clients, ThreadPoolExecutor() as threads:
        calls = [threads.submit(asked, client, UNTIL_OPEN) for client in clients]
        wait_for(lambda: "penstock_in_flight 2.0" in httpx.get(f"{two.http}/metrics", timeout=PATIENCE).text)
        two.parent.send_signal(signal.SIGTERM)
        two.parent.send_signal(signal.SIGTERM)  # nor does a second one cut them off
        wait_for(lambda: not takes_connections(two))
        (model / "open").touch()
        assert {call.result(PATIENCE) for call in calls} == {worker.pid for worker in workers}
    assert two.parent.wait(PATIENCE) == 0
    assert not psutil.wait_procs(workers, PATIENCE)[1]


def takes_connections(two: Fleet) -> bool:
    try:
        return httpx.get(f"{two.http}/health/ping", timeout=PATIENCE).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secured(authority: trustme.CA, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("secured")
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    options = ("--tls-certificate", str(certificate), "--tls-key", str(key))
    with fleet(folder, "--model", str(model), *options) as running:
        yield running


def test_tls_is_spoken_by_the_workers(authority: trustme.CA, secured: Fleet) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    # Who speaks plain text takes no place for long: the workers get the next two all the same.
    for _ in range(2):
        with pytest.raises(httpx.HTTPError):
            httpx.get(secured.http.replace("https", "http"), timeout=PATIENCE)

    def both_answer() -> bool:
        with ExitStack() as clients:
            two = [
                clients.enter_context(httpx.Client(base_url=secured.http, verify=trusting, timeout=PATIENCE))
                for _ in range(2)
            ]
            return {asked(client) for client in two} == {worker.pid for worker in secured.workers()}

    wait_for(both_answer)


def test_workers_do_not_outlive_a_killed_parent(secured: Fleet) -> None:
    """The last of those with `secured`."""
    workers = secured.workers()
    assert len(workers) == 2
    secured.parent.kill()
    assert not psutil.wait_procs(workers, PATIENCE)[1]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise ValueError('no such table')", "no such table"),
        ("import os; os.kill(os.getpid(), 9)", "a worker ended with -9 before it was ready"),
    ],
)
def test_a_model_that_does_not_load_is_one_line_and_the_end(code: str, told: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "SeldonWrapper.py").write_text(code)
    with command(tmp_path, "--model", str(folder)) as (parent, log):
        assert parent.wait(PATIENCE) == 1
        *_, last = log.read_text().splitlines()
        assert last.startswith("error: ")
        assert told in last


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"workers": 2, "grpc_engine": "grpcio"}])
def test_numbers_of_workers_that_cannot_be_are_refused(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="workers is"):
        Settings(tmp_path, **wrong)  # type: ignore[arg-type]
