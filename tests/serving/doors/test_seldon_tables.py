"""Tables take a short way from request to answer, over HTTP/1.1: it ends where the long way does."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from onnx import TensorProto, helper, save

from penstock.proto import ModelFailure
from penstock.serving.doors.connections import Connections
from penstock.serving.doors.exchange import Response
from penstock.serving.doors.http1 import Http1Door
from penstock.serving.doors.rest import rest
from penstock.serving.doors.seldon_tables import short_way
from penstock.serving.service import Service
from penstock.serving.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from penstock.proto import PenstockError


@pytest.fixture(scope="session")
def reciprocal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX model of tables with two columns: y = 1 / a, which is infinite where a is 0."""
    graph = helper.make_graph(
        [helper.make_node("Reciprocal", ["a"], ["y"])],
        "reciprocal",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, ["rows", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 2])],
    )
    path = tmp_path_factory.mktemp("reciprocal") / "reciprocal.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


Answer = tuple[int, Any, dict[str, str]]


class Door:
    """A service with the door that is asked."""

    def __init__(self, service: Service, port: int) -> None:
        self.service = service
        self.port = port

    async def ask(self, *bodies: str, path: str = "/predict", headers: str = "") -> list[Answer]:
        """Send all at once, over one connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}Content-Length: "
        writer.write("".join(f"{head}{len(body)}\r\n\r\n{body}" for body in bodies).encode())
        try:
            return [await _answer(reader) for _ in bodies]
        finally:
            writer.close()

    def counted(self, status: str) -> float:
        """How many requests Prometheus is told of."""
        line = f'penstock_requests_total{{door="seldon-rest",method="predict",status="{status}"}} '
        for text in self.service.metrics.exposition().decode().splitlines():
            if text.startswith(line):
                return float(text.removeprefix(line))
        return 0


async def _answer(reader: asyncio.StreamReader) -> Answer:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    about = dict(line.split(": ", 1) for line in lines[1:] if line)
    return int(lines[0].split()[1]), json.loads(await reader.readexactly(int(about["content-length"]))), about


@asynccontextmanager
async def opened(model: Path, **changes: Any) -> AsyncIterator[Door]:
    async with asyncio.timeout(60):
        settings = Settings(model, grpc_port=0, http_port=0, **changes)
        service = await Service.start(settings)
        connections = Connections()
        door = Http1Door(rest(service, settings), connections)
        server = await asyncio.get_running_loop().create_server(door, "127.0.0.1", 0)
        try:
            yield Door(service, server.sockets[0].getsockname()[1])
        finally:
            server.close()
            await connections.stop(5)
            await service.stop()


BODIES = [
    '{"data":{"ndarray":[[1,2.5]]}}',
    '{"data":{"ndarray":[[1.5,2.5],[4,8]]}}',
    '{"data":{"names":["a","b"],"ndarray":[[1.5,2.5]]},"meta":{}}',
    '{"data":{"ndarray":[[1.5,2.5]]},"meta":{"puid":"of-mine"}}',
    '{"data":{"tensor":{"shape":[2,2],"values":[1,2,3,4]}}}',
    '{"data":{"tensor":{"shape":[1,2],"values":[0.0,4.5]}}}',  # infinite
    '{"data":{"ndarray":[[0.0,-0.0]]}}',
    '{"data":{"ndarray":[[1.5]]}}',  # too few columns
    '{"data":{"ndarray":[[1e300,1.5]]}}',  # too large for the model's floats
    '{"data":{"ndarray":[["a",1.5]]}}',
    '{"data":{"ndarray":[[1.5,2.5]]',
    '{"strData":"[[1.5,2.5]]"}',
    f"[[{','.join(['1.5'] * 1500)}]]",  # so long that it is read as an array, and no message
]


def _without_puid(answer: Answer) -> Answer:
    status, body, about = answer
    body.get("meta", {}).pop("puid", None)
    return status, body, {name: value for name, value in about.items() if name not in {"date", "seldon-puid"}}


@pytest.mark.parametrize("at_once", [1, len(BODIES)])
async def test_both_ways_give_the_same_answers(reciprocal: Path, at_once: int) -> None:
    async with opened(reciprocal, version="3") as door:
        short, long = [], []
        for at in range(0, len(BODIES), at_once):
            short += await door.ask(*BODIES[at : at + at_once])
            long += await door.ask(*BODIES[at : at + at_once], path="/predict?any=thing")
        puids = [body["meta"]["puid"] for status, body, _ in short if status == 200]
        assert puids == [about["seldon-puid"] for status, _, about in short if status == 200]
        assert len(set(puids)) == len(puids)
        assert "of-mine" in puids
        assert [*map(_without_puid, short)] == [*map(_without_puid, long)]
        ok = sum(status == 200 for status, *_ in short)
        assert (ok, door.counted("200"), door.counted("400")) == (8, 16, 10)


async def test_callers_of_one_run_get_their_own_rows(reciprocal: Path) -> None:
    async with opened(reciprocal) as door:
        bodies = [f'{{"data":{{"ndarray":[[{n}.5,{n}]{f",[{n}, 2]" * (n % 3)}]}}}}' for n in range(1, 33)]
        answers = await asyncio.gather(*map(door.ask, bodies))
        for n, [(status, body, _)] in enumerate(answers, 1):
            rows = [[1 / (n + 0.5), 1 / n], *[[1 / n, 0.5]] * (n % 3)]
            assert status == 200
            assert body["data"]["ndarray"] == [[pytest.approx(one) for one in row] for row in rows]


@pytest.mark.parametrize("headers", ["Seldon-Puid: told\r\n", "Content-Encoding: identity\r\n"])
async def test_headers_that_tell_something_are_heard(reciprocal: Path, headers: str) -> None:
    async with opened(reciprocal) as door:
        [(status, body, _)] = await door.ask(BODIES[0], headers=headers)
        assert status == 200
        assert ("told" in headers) == (body["meta"]["puid"] == "told")


class _Stopped:
    """Runs that wait to be let go, or fail."""

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        self._askers: list[Any] = []
        monkeypatch.setattr(service._batcher, "submit_for", lambda asker, *_: self._askers.append(asker))

    async def asker(self) -> Any:
        """The first that waits."""
        while not self._askers:  # noqa: ASYNC110  (the service is not told of its test)
            await asyncio.sleep(0.01)
        return self._askers[0]


async def test_a_failure_is_told_and_counted(reciprocal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(reciprocal) as door:
        held = _Stopped(door.service, monkeypatch)
        asked = asyncio.create_task(door.ask(BODIES[0]))
        asker = await held.asker()
        asker.set_exception(ModelFailure("the model failed"))
        [(status, body, _)] = await asked
        assert (status, body["status"]["info"]) == (500, "MODEL_FAILED: the model failed")
        assert (door.counted("500"), asker.done()) == (1, True)


async def test_who_hangs_up_does_not_wait(reciprocal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(reciprocal) as door:
        held = _Stopped(door.service, monkeypatch)
        asked = asyncio.create_task(door.ask(BODIES[0]))
        asker = await held.asker()
        asked.cancel()
        while not asker.done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert (door.counted("499"), door.counted("200")) == (1, 0)


async def test_a_full_queue_is_told(reciprocal: Path) -> None:
    async with opened(reciprocal, max_queue=1, batch_wait=0.5) as door:
        answers = [one for [one] in await asyncio.gather(door.ask(BODIES[0]), door.ask(BODIES[0]))]
        assert sorted(status for status, *_ in answers) == [200, 429]


async def test_an_answer_that_cannot_be_written_is_a_failure(reciprocal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(reciprocal) as door:
        told: list[Response] = []
        short = short_way(door.service, door.service.settings, _failure)
        assert short is not None

        def broken(*_: Any) -> bytes:
            raise RuntimeError("a secret")

        monkeypatch.setattr(door.service.model, "table_text", broken)
        assert short(BODIES[0].encode(), told.append) is not None
        while not told:  # noqa: ASYNC110  (the service is not told of its test)
            await asyncio.sleep(0.01)
        assert b"secret" not in told[0].body
        assert told[0].status == 500


def _failure(error: PenstockError) -> Response:
    return Response(error.message.encode(), error.http_status)


def test_a_model_of_another_kind_has_no_short_way(serve: Callable[..., Any]) -> None:
    units = serve("units")
    assert short_way(units.service, units.service.settings, _failure) is None
