"""Each way in which the benchmark puts a question gets the right answer from our own service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from bench import asking, nets
from bench.contenders import ALL, OURS
from bench.ways import Way, question
from bench.works import WORKS
from tests.peers import servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers.servers import Server

_OURS = next(each for each in ALL if each.name == OURS)
_WAYS = list(dict.fromkeys(way for ways in _OURS.ways.values() for way in ways))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "model.onnx"
    nets.write("mlp", path)
    return path


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Server]:
    with servers.penstock(model, model.with_name("log")) as running:
        yield running


@pytest.mark.parametrize("way", _WAYS, ids=str)
def test_the_answer_is_onnxruntimes_own(way: Way, model: Path, server: Server) -> None:
    rows = nets.rows("mlp", 3)
    reply = asking.check(server, way, question(way, rows, nets.names(model)), nets.answer(model, rows))
    assert reply.size > 0


def test_another_answer_is_found_out(model: Path, server: Server) -> None:
    rows = nets.rows("mlp", 1)
    asked = question(Way("rest", "v2", "json"), rows, nets.names(model))
    with pytest.raises(asking.WrongAnswer, match="instead of"):
        asking.check(server, Way("rest", "v2", "json"), asked, nets.answer(model, rows) + 0.01)


def test_a_refusal_is_told(model: Path, server: Server) -> None:
    asked = question(Way("rest", "seldon", "ndarray"), np.zeros((1, 5)), nets.names(model))
    with pytest.raises(asking.WrongAnswer, match="status 4"):
        asking.check(server, Way("rest", "seldon", "ndarray"), asked, np.zeros((1, 10)))


def test_every_contender_has_a_way_for_its_works() -> None:
    names = {work.name for work in WORKS}
    assert {name for each in ALL for name in each.ways} == names
    assert all(each.ways for each in ALL)
