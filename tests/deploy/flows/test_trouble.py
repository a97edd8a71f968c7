"""What goes wrong between two steps: others who change the same thing, a NiFi that is gone, size."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.deploy.flows.parts import chain, connection, flow, processor

from penstock.deploy.canvas import Connection
from penstock.deploy.flows import Flows, Spec, to_text
from penstock.deploy.flows._held import held
from penstock.proto.errors import RequestError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deploy.flows.conftest import Canvas

pytestmark = [pytest.mark.nifi, pytest.mark.xdist_group("nifi")]


def test_two_applies_at_once_end_as_one_after_the_other(canvas: Canvas) -> None:
    name, template = canvas.name(), canvas.file(chain())
    canvas.flows.create(name, template, start=True)
    many = [str(number) for number in range(3)]

    def apply(greeting: str) -> bool:
        flows = Flows(Connection(canvas.nifi.address), canvas.group)
        return flows.apply(Spec(name, str(template), parameters={"greeting": greeting})).changed

    with ThreadPoolExecutor(len(many)) as pool:
        assert all(pool.map(apply, many))
    assert canvas.flows.show(name).parameters[0].value in many
    assert canvas.flows.diff(name) == ()
    assert set(canvas.states(name).values()) == {"RUNNING"}
    assert not apply(str(canvas.flows.show(name).parameters[0].value))


def test_two_creates_at_once_make_one(canvas: Canvas) -> None:
    name, template = canvas.name(), canvas.file(chain())

    def create(_: int) -> str:
        try:
            return Flows(Connection(canvas.nifi.address), canvas.group).create(name, template).group
        except RequestError as error:
            assert "already" in error.message
            return ""

    with ThreadPoolExecutor(3) as pool:
        made = [group for group in pool.map(create, range(3)) if group]
    assert made == [canvas.group_of(name)]


def test_who_changes_a_deployment_is_told_on_the_canvas_and_others_wait(canvas: Canvas) -> None:
    name = canvas.name()
    canvas.flows.create(name, canvas.file(chain()))
    group = canvas.group_of(name)

    def comments() -> str:
        return str(canvas.nifi.get(f"/process-groups/{group}")["component"]["comments"])

    before = comments()
    assert before.startswith("Penstock: from the template chain")
    entered = threading.Event()

    def second() -> None:
        with held(canvas.nifi, group):
            entered.set()

    with held(canvas.nifi, group):
        assert "being changed by" in comments()
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.7)
    thread.join(60)
    assert entered.is_set()
    assert comments() == before


def test_the_sign_of_a_process_that_is_gone_is_not_obeyed(canvas: Canvas) -> None:
    name = canvas.name()
    canvas.flows.create(name, canvas.file(chain()))
    with held(canvas.nifi, canvas.group_of(name)) as hold:
        left = hold.sign
    entity = canvas.nifi.get(f"/process-groups/{canvas.group_of(name)}")
    component = {"id": entity["id"], "comments": f"Mine.\n\nPenstock: {left}"}
    canvas.nifi.put(f"/process-groups/{entity['id']}", {"revision": entity["revision"], "component": component})
    assert canvas.flows.upgrade(name, canvas.file(chain(mark="2"))).changed
    comments = canvas.nifi.get(f"/process-groups/{entity['id']}")["component"]["comments"]
    assert comments.startswith("Mine.\n\nPenstock: from the template chain")


def _cutting_proxy(target: str, word: bytes, *, answered: bool) -> Iterator[str]:
    """An address that leads to ``target`` until a request has ``word`` in its first line, and nowhere from then on.

    Whether that request's answer still comes back is ``answered``.
    """
    there = urlsplit(target)
    broken = threading.Event()
    door = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket, *, watch: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if watch and word in data.partition(b"\r\n")[0]:
                    _close(door)
                    broken.set()
                    sink.sendall(data)  # NiFi gets it, and begins
                    if answered:
                        continue
                elif answered or not broken.is_set():
                    sink.sendall(data)
                if broken.is_set():
                    break
        _close(source)
        _close(sink)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = door.accept()
                server = socket.create_connection((there.hostname or "", there.port or 80))
                for pair, watch in (((client, server), True), ((server, client), False)):
                    threading.Thread(target=pump, args=pair, kwargs={"watch": watch}, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{door.getsockname()[1]}"
    _close(door)


def _close(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)  # wakes who waits for it
    each.close()


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("step", [b"update-requests", b"replace-requests", b"run-status"])
def test_a_connection_that_breaks_in_the_middle_is_told_and_the_next_apply_does_the_rest(
    canvas: Canvas, step: bytes, *, answered: bool
) -> None:
    name = canvas.name()
    canvas.flows.create(name, canvas.file(chain()), start=True)
    more = (processor("count", "UpdateAttribute"), connection("mark", "count"), connection("count", "tell"))
    newer = canvas.file(chain("bye", mark="2", more=more))
    for address in _cutting_proxy(canvas.nifi.address, step, answered=answered):
        flows = Flows(Connection(address), canvas.group)
        with pytest.raises(Unavailable, match="run the same command again"):
            flows.upgrade(name, newer)
    canvas.flows.upgrade(name, newer)
    assert canvas.flows.diff(name) == ()
    assert not canvas.flows.upgrade(name, newer).changed
    canvas.flows.start(name)
    assert set(canvas.states(name).values()) == {"RUNNING"}
    assert to_text(canvas.flows.export(name)).count("bye") == 1


def test_a_connection_that_breaks_at_the_record_is_told_and_the_next_apply_writes_it(canvas: Canvas) -> None:
    name = canvas.name()
    canvas.flows.create(name, canvas.file(chain()))
    newer = canvas.file(chain(mark="2"))  # no parameter but the record becomes different
    for address in _cutting_proxy(canvas.nifi.address, b"update-requests", answered=False):
        with pytest.raises(Unavailable, match="run the same command again"):
            Flows(Connection(address), canvas.group).upgrade(name, newer)
    canvas.flows.upgrade(name, newer)
    assert canvas.flows.diff(name) == ()
    assert not canvas.flows.upgrade(name, newer).changed


def test_a_hundred_processors(canvas: Canvas) -> None:
    def long(period: str) -> dict[str, object]:
        names = [f"step {number}" for number in range(99)]
        steps = [processor(name, "UpdateAttribute", {"n": name}) for name in names]
        links = [connection(one, two) for one, two in zip(["make", *names], names, strict=False)]
        steps[-1]["autoTerminatedRelationships"] = ["success"]
        make = processor("make", "GenerateFlowFile", {"File Size": "1 B"}, schedulingPeriod=period)
        return flow("long", make, *steps, *links)

    name = canvas.name()
    canvas.flows.create(name, canvas.file(long("1 min")), start=True)
    assert len(canvas.states(name)) == 100
    assert canvas.flows.diff(name) == ()
    outcome = canvas.flows.upgrade(name, canvas.file(long("2 min")))
    assert [str(each) for each in outcome.changes] == ["processor 'make': schedule: 1 min → 2 min"]
    assert set(canvas.states(name).values()) == {"RUNNING"}
