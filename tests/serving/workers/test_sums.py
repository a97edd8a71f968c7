"""The arithmetic of several processes' numbers, and the counting of handed connections."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from penstock.proto import Metric
from penstock.serving.exposition import exposition, summed
from penstock.serving.metrics import Metrics
from penstock.serving.workers.handing import Hand, Taker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.serving.exposition import Family


def families(requests: int, *, waiting: int = 0, told: tuple[Metric, ...] = ()) -> list[Family]:
    metrics = Metrics("m")
    metrics.watch(lambda: waiting, lambda: 0)
    for _ in range(requests):
        metrics.request("grpc", "predict", "OK", 0.002)
    metrics.model.observe(told, "predict")
    return list(metrics.families())


def read(families: list[Family]) -> dict[tuple[str, str], float]:
    """Value by name and by what its label ``le`` or ``worker`` says, as an independent parser reads it."""
    result: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(exposition(families).decode()):
        for sample in family.samples:
            key = sample.name, sample.labels.get("le", sample.labels.get("worker", ""))
            assert key not in result
            result[key] = sample.value
    return result


def test_counters_histograms_and_our_gauges_add_up() -> None:
    total = read(summed({"0": families(2, waiting=3), "1": families(5, waiting=4)}))
    assert total["penstock_requests_total", ""] == 7
    assert total["penstock_request_seconds_count", ""] == 7
    assert total["penstock_request_seconds_bucket", "0.001"] == 0
    assert total["penstock_request_seconds_bucket", "0.0025"] == 7
    assert total["penstock_request_seconds_sum", ""] == pytest.approx(0.014)
    assert total["penstock_queue_rows", ""] == 7


def test_a_models_gauge_is_told_per_worker_and_its_counter_as_a_sum() -> None:
    told = (Metric("temperature", "GAUGE", 20.5), Metric("rows", "COUNTER", 3))
    total = read(summed({"0": families(0, told=told), "1": families(0, told=told)}))
    assert (total["temperature", "0"], total["temperature", "1"]) == (20.5, 20.5)
    assert total["rows_total", ""] == 6


def test_of_those_that_are_no_more_counters_stay_and_gauges_do_not() -> None:
    gone = families(2, waiting=3, told=(Metric("temperature", "GAUGE", 20.5),))
    total = read(summed({"0": families(1)}, gone))
    assert total["penstock_requests_total", ""] == 3
    assert total["penstock_queue_rows", ""] == 0
    assert not [name for name, _ in total if name == "temperature"]


def test_a_series_that_only_one_has_stays_in_its_family() -> None:
    other = Metrics("m")
    other.request("seldon-rest", "predict", "200", 0.1)
    text = exposition(summed({"0": families(1), "1": other.families()})).decode()
    lines = [line.partition("{")[0] for line in text.splitlines() if not line.startswith("#")]
    assert lines.count("penstock_requests_total") == 2
    first = lines.index("penstock_requests_total")
    assert lines[first + 1] == "penstock_requests_total", "a family's lines stand together"


@pytest.fixture
def pair() -> Iterator[tuple[Hand, Taker, ExitStack]]:
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
        yield Hand(ours), Taker(theirs), stack


def test_a_connection_arrives_and_its_end_is_counted(pair: tuple[Hand, Taker, ExitStack]) -> None:
    hand, taker, stack = pair
    near, far = (stack.enter_context(end) for end in socket.socketpair())
    assert taker.take() is None
    assert hand.give(far)
    far.close()
    assert hand.open == 1
    taken = taker.take()
    assert taken is not None
    with taken:
        taken.send(b"here")
        assert near.recv(10) == b"here"
    taker.gone(1)
    hand.count()
    assert hand.open == 0


def test_a_worker_that_does_not_keep_up_gets_no_more_than_its_pipe_holds(pair: tuple[Hand, Taker, ExitStack]) -> None:
    hand, taker, stack = pair
    _, far = (stack.enter_context(end) for end in socket.socketpair())
    given = 0
    while hand.give(far):
        given += 1
    assert hand.open == given > 0
    taken = taker.take()
    assert taken is not None
    taken.close()
    assert hand.give(far) or hand.open == given


def test_the_end_of_the_parent_is_seen(pair: tuple[Hand, Taker, ExitStack]) -> None:
    hand, taker, _ = pair
    hand.close()
    with pytest.raises(EOFError):
        taker.take()
    taker.gone(1)  # nobody hears it, and nothing comes of it
