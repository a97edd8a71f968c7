from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from penstock.proto import Metric
from penstock.serving.metrics import Metrics


def read(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """As Prometheus reads it: by an independent parser, each series once."""
    series: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    names: list[str] = []
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        names.append(family.name)
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in series
            series[key] = sample.value
    assert len(names) == len(set(names))
    return series


def labels(**more: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"method": "predict", "model_name": "m", **more}.items()))


def test_requests_and_their_latency() -> None:
    metrics = Metrics("m")
    for seconds, status in ((0.001, "200"), (0.3, "200"), (99.0, "500")):
        metrics.request("seldon-rest", "predict", status, seconds)
    series = read(metrics)
    door = (("door", "seldon-rest"), ("method", "predict"))
    assert series["penstock_requests_total", (*door, ("status", "200"))] == 2
    assert series["penstock_requests_total", (*door, ("status", "500"))] == 1
    buckets = {
        dict(key[1])["le"]: value for key, value in series.items() if key[0] == "penstock_request_seconds_bucket"
    }
    assert (buckets["0.0005"], buckets["0.001"], buckets["0.5"], buckets["10.0"], buckets["+Inf"]) == (0, 1, 2, 2, 3)
    assert series["penstock_request_seconds_sum", door] == pytest.approx(99.301)


def test_runs_and_the_queue() -> None:
    metrics = Metrics("m")
    metrics.watch(lambda: 7, lambda: 0)
    metrics.run(64, 0.002)
    series = read(metrics)
    assert series["penstock_batch_rows_sum", ()] == 64
    assert series["penstock_model_run_seconds_count", ()] == 1
    assert series["penstock_queue_rows", ()] == 7


def test_the_models_counters_gauges_and_timers() -> None:
    metrics = Metrics("m")
    for value in (1.0, 2.0):
        told = (Metric("rows", "COUNTER", value), Metric("last", "GAUGE", -value), Metric("took", "TIMER", value * 20))
        metrics.model.observe(told, "predict")
    series = read(metrics)
    assert series["rows_total", labels()] == 3
    assert series["last", labels()] == -2
    assert series["took_count", labels()] == 2
    assert series["took_sum", labels()] == pytest.approx(0.06)


def test_tags_are_labels_and_may_change() -> None:
    metrics = Metrics("m")
    for tags in ({}, {"city": "Graz"}, {"city": 'quote " and \\ and \n'}, {"a-b": "1", "model_name": "x", "9": "y"}):
        metrics.model.observe((Metric("rows_total", "COUNTER", 1, tags),), "predict")
    series = read(metrics)
    assert series["rows_total", labels()] == 1
    assert series["rows_total", labels(city="Graz")] == 1
    assert series["rows_total", labels(city='quote " and \\ and \n')] == 1
    assert series["rows_total", labels(a_b="1", tag_model_name="x", tag_9="y")] == 1


def test_a_name_of_two_types_and_names_that_prometheus_does_not_allow() -> None:
    metrics = Metrics("m")
    told = [
        Metric("x", "COUNTER", 1),
        Metric("x", "GAUGE", 2),
        Metric("x", "TIMER", 3),
        Metric("x_gauge", "COUNTER", 4),
        Metric("9 lives!", "GAUGE", 5),
        Metric("penstock_queue_rows", "GAUGE", 6),
    ]
    metrics.model.observe(told, "predict")
    series = read(metrics)
    assert series["x_total", labels()] == 1
    assert series["x_gauge", labels()] == 2
    assert series["x_timer_count", labels()] == 1
    assert series["x_gauge_counter_total", labels()] == 4
    assert series["_9_lives_", labels()] == 5
    assert series["model_penstock_queue_rows", labels()] == 6
    assert series["penstock_queue_rows", ()] == 0


def test_ever_new_tags_do_not_fill_the_memory() -> None:
    metrics = Metrics("m")
    for number in range(10_100):
        metrics.model.observe((Metric("x", "GAUGE", 1, {"id": str(number)}),), "predict")
    assert sum(1 for name, _ in read(metrics) if name == "x") == 10_000
