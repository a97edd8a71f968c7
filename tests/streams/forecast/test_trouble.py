"""Bad readings, models that fail, services that are away, offsets that are lost: over a real broker."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from penstock.deploy.ports import free_port
from penstock.proto import SetupError
from penstock.serving.lifecycle import running as serving
from penstock.serving.settings import Settings
from penstock.streams.forecast.changelog import ensure_changelog
from penstock.streams.forecast.series import Series
from penstock.streams.forecast.spec_file import load_forecast
from penstock.streams.forecast.worker import ForecastWorker

from ..conftest import until
from .conftest import WITHIN, onnx_by_hand, waves, windows_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import ForecastCase

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]

PLAIN = "mean = 0.0\nscale = 1.0"


def reading(number: int, **changes: Any) -> dict[str, Any]:
    made = {"station_id": "a", "parameter_id": "load", "reading_time": 100 + number, "value": float(number)}
    return {**made, **changes}


def reasons(case: ForecastCase) -> list[tuple[str, bytes | None]]:
    return [
        (dict(letter.headers)["penstock-dlq-reason"].decode(), letter.value) for letter in case.cluster.read(case.dead)
    ]


async def done(case: ForecastCase) -> None:
    """Wait until all that was sent is done."""
    case.cluster.flush()
    sent = case.cluster.size(case.source)
    await until(lambda: case.cluster.committed(case.group, case.source) == sent, WITHIN)


async def test_bad_readings_are_set_aside_and_change_no_forecast(
    case: ForecastCase, dense: Path, forecasting: Callable[..., Any]
) -> None:
    good = waves("a", 24)
    case.cluster.send(case.source, b"no reading", b"a", [("x", b"1")])
    for number, one in enumerate(good):
        about = {"station_id": "a", "parameter_id": "load", "reading_time": one.time, "value": one.value}
        case.send(about, "a")
        if number == 10:
            case.send({**about, "value": "high"}, "a")
            case.send({**about, "parameter_id": "unknown"}, "a")
            case.send({**about, "reading_time": one.moment - 1}, "a")
            case.send({**about, "value": 1.7e308, "parameter_id": "small"}, "a")
            case.cluster.send(case.source, None, b"a")
    case.cluster.flush()
    where = {record.key: record.partition for record in case.cluster.read(case.source)}[b"a"]
    stray = {"station_id": "a", "parameter_id": "load", "reading_time": 10**6, "value": 1.0}
    small = "[scaling.parameters.small]\nmean = 0\nscale = 0.001"
    forecast = case.spec(f'model = "{dense}"', f'file = "{dense.with_suffix(".json")}"', small)
    async with forecasting(forecast):
        await done(case)
        case.cluster.send(case.source, json.dumps(stray).encode(), b"a", partition=(where + 1) % 3)
        await done(case)

    letters = await asyncio.to_thread(case.cluster.read, case.dead)
    told = sorted(dict(letter.headers)["penstock-dlq-reason"].decode() for letter in letters)
    assert told == [
        "BAD_READING",
        "BAD_READING",
        "INVALID_JSON",
        "LATE_READING",
        "NULL_VALUE",
        "UNKNOWN_PARAMETER",
        "WRONG_PARTITION",
    ]
    (first,) = [letter for letter in letters if letter.value == b"no reading"]
    assert (first.key, first.headers[0]) == (b"a", ("x", b"1"))
    found = await asyncio.to_thread(case.forecasts)
    scale = forecast.scaling.parameters["load"]
    by_hand = onnx_by_hand(dense, windows_of([one.value for one in good], scale.mean, scale.scale))
    assert [one["forecast_normalised"] for one in found] == [None] * 5 + by_hand


async def test_a_window_that_the_model_cannot_bear_fails_alone(
    case: ForecastCase, python_model: Callable[[str], Path], forecasting: Callable[..., Any]
) -> None:
    model = python_model(
        "if (X[:, 0] == 8).any(): raise ValueError\n        return [[9.0 if x != 10 else 1e999] for x in X[:, 0]]"
    )
    for number in range(14):
        case.send(reading(number), "a")
    case.cluster.flush()
    async with forecasting(case.spec(f'model = "{model}"', PLAIN)):
        await done(case)
    assert await asyncio.to_thread(reasons, case) == [
        ("MODEL_FAILED", json.dumps(reading(8)).encode()),
        ("NO_FORECAST", json.dumps(reading(10)).encode()),
    ]
    found = {one["value"]: (one["expected"], one["forecast"]) for one in await asyncio.to_thread(case.forecasts)}
    assert found[7.0] == (9.0, 9.0)
    assert found[9.0] == (None, 9.0), "what was not forecast cannot have been wrong"
    assert found[11.0] == (None, 9.0)
    assert found[12.0] == (9.0, 9.0)
    assert len(found) == 12


async def test_what_is_read_again_changes_nothing_also_after_a_late_write_to_the_changelog(
    case: ForecastCase, dense: Path, forecasting: Callable[..., Any]
) -> None:
    forecast = case.spec(f'model = "{dense}"', f'file = "{dense.with_suffix(".json")}"')
    readings = waves("a", 40)

    def send(part: Any) -> None:
        for one in part:
            case.send({"station_id": "a", "parameter_id": "load", "reading_time": one.time, "value": one.value}, "a")

    send(readings[:25])
    async with forecasting(forecast):
        await done(case)
    # A worker that was stopped in the middle of its work wakes and writes what it knew.
    (newest,) = [record for record in case.cluster.read(forecast.changelog) if record.key == b"a/load"][-1:]
    late = Series.loaded(newest.value)
    late = Series(late.partition, late.offset - 12, late.moment - 12 * 60, (0.0,) * 6, 0.5)
    case.cluster.send(forecast.changelog, late.dumped(), newest.key, partition=newest.partition)
    case.cluster.flush()
    case.cluster.admin.delete_groups([case.group])  # and with it the offsets: everything is read again
    send(readings[25:])
    async with forecasting(forecast) as worker:
        await done(case)
        again = worker.metrics.registry.get_sample_value(
            "penstock_forecast_repeated_readings_total", {"stream": case.name}
        )
    assert again == 25
    found = await asyncio.to_thread(case.forecasts)
    scale = forecast.scaling.parameters["load"]
    by_hand = onnx_by_hand(dense, windows_of([one.value for one in readings], scale.mean, scale.scale))
    assert [one["forecast_normalised"] for one in found] == [None] * 5 + by_hand
    assert case.cluster.size(case.dead) == 0


async def test_a_service_that_is_away_is_waited_for_and_asked_in_batches(
    case: ForecastCase, dense: Path, forecasting: Callable[..., Any]
) -> None:
    scaling, port = f'file = "{dense.with_suffix(".json")}"', free_port()
    forecast = case.spec(f'address = "grpc://127.0.0.1:{port}"', scaling)
    stations = {name: waves(name, 40, seed) for seed, name in enumerate("abcdef")}
    for name, readings in stations.items():
        for one in readings:
            case.send({"station_id": name, "parameter_id": "load", "reading_time": one.time, "value": one.value}, name)
    case.cluster.flush()
    stopped = ForecastWorker(forecast)
    waiting = asyncio.create_task(stopped.run(lambda: None))
    await until(lambda: case.cluster.partitions(forecast.changelog) == 3)
    await asyncio.sleep(0.5)
    assert not waiting.done(), "it should wait for the service"
    stopped.stop()
    await asyncio.wait_for(waiting, 30)

    async with serving(Settings(dense, grpc_port=port, http_port=0)), forecasting(forecast) as worker:
        await done(case)
        totals = worker.metrics.totals()
    assert totals["results"] == 240
    assert totals["calls"] < 60, "readings of several stations share a call"
    scale = forecast.scaling.parameters["load"]
    found = await asyncio.to_thread(case.forecasts)
    for name, readings in stations.items():
        by_hand = onnx_by_hand(dense, windows_of([one.value for one in readings], scale.mean, scale.scale))
        told = [one["forecast_normalised"] for one in found if one["station_id"] == name]
        assert told == [None] * 5 + by_hand


async def test_a_changelog_with_other_partitions_is_refused(case: ForecastCase, dense: Path) -> None:
    forecast = case.spec(f'model = "{dense}"', PLAIN)
    case.cluster.create(forecast.changelog, 2)
    with pytest.raises(SetupError, match=r"has 2 partitions, and .* has 3: series have moved") as error:
        await ForecastWorker(forecast).run(lambda: None)
    assert error.value.code == "PARTITIONS_DIFFER"


async def test_without_leave_no_changelog_is_created(case: ForecastCase, dense: Path) -> None:
    for topic in (case.sink, case.dead):
        case.cluster.create(topic, 3)
        await until(lambda topic=topic: case.cluster.partitions(topic) == 3)  # type: ignore[misc]
    spec = case.file(f'model = "{dense}"', PLAIN)
    spec.write_text(spec.read_text().replace("session_timeout = 6", "session_timeout = 6\ncreate_topics = false"))
    with pytest.raises(SetupError, match=r"no topic .*-series-changelog.*create it compacted and with 3 partitions"):
        await ForecastWorker(load_forecast(spec)).run(lambda: None)


async def test_workers_that_start_together_create_one_compacted_changelog(case: ForecastCase) -> None:
    forecast = case.spec('address = "grpc://127.0.0.1:1"', PLAIN)
    await asyncio.gather(*(ensure_changelog(forecast) for _ in range(4)))
    assert case.cluster.partitions(forecast.changelog) == 3
    await ensure_changelog(forecast)  # again, as it is there
    admin = AdminClient({"bootstrap.servers": case.cluster.address})
    (told,) = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, forecast.changelog)]).values()
    assert (await asyncio.to_thread(told.result, 30))["cleanup.policy"].value == "compact"
