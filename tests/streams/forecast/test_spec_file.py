"""The spec file of a forecast, and what is wrong with the bad ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penstock.proto import SetupError
from penstock.streams.forecast.spec import Scale, Watch
from penstock.streams.forecast.spec_file import load_forecast

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "forecast.toml"
LEAST = """
name = "bts"
[source]
topic = "readings"
[sink]
topic = "forecasts"
[service]
address = "grpc://127.0.0.1:5000"
[scaling]
mean = 12.0
scale = 13
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "forecast.toml"
    path.write_text(text)
    return path


def test_what_is_not_said_has_defaults(tmp_path: Path) -> None:
    forecast = load_forecast(written(tmp_path, LEAST))
    assert forecast.changelog == "penstock-bts-series-changelog"
    assert (forecast.stream.engine, forecast.stream.dead_letter) == ("faust", "bts-dead-letters")
    assert [str(pointer) for pointer in (forecast.fields.station, forecast.fields.time)] == [
        "/station_id",
        "/reading_time",
    ]
    assert (forecast.fields.columns, forecast.watch) == ((), Watch())
    assert forecast.scaling.of("whatever") == Scale(12.0, 13.0)


def test_csv_has_columns(tmp_path: Path) -> None:
    csv = LEAST + '[readings]\nformat = "csv"\ntime = "t"\n'
    assert load_forecast(written(tmp_path, csv)).fields.columns == ("station_id", "parameter_id", "t", "value")
    named = csv + 'columns = ["id", "value", "station_id", "parameter_id", "t"]\n'
    assert load_forecast(written(tmp_path, named)).fields.columns[0] == "id"
    with pytest.raises(SetupError, match=r"readings\.value is 'value', which is none of the columns station_id, t"):
        load_forecast(written(tmp_path, csv + 'columns = ["station_id", "t"]\nparameter = "t"\n'))


def test_a_parameter_has_its_own_scale(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"parameters": {"122": {"mean": 1, "scale": 2}}, "window": 6}))
    text = LEAST.replace("mean = 12.0\nscale = 13", 'file = "model.json"\n[scaling.parameters.7]\nmean = 3\nscale = 4')
    scaling = load_forecast(written(tmp_path, text)).scaling
    assert (scaling.of("122"), scaling.of("7"), scaling.of("8")) == (Scale(1.0, 2.0), Scale(3.0, 4.0), None)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("scale = 13", "scale = 0", "scaling.scale is a number above 0, not 0"),
        ("mean = 12.0\n", "", "scaling.mean is missing"),
        ("mean = 12.0\nscale = 13", "", "scaling says nothing: give mean and scale, or the file"),
        ("mean = 12.0\nscale = 13", 'file = "none.json"', "scaling.file is 'none.json', but there is no"),
        ("mean = 12.0\nscale = 13", 'file = "forecast.toml"', "cannot be read as JSON"),
        ('topic = "forecasts"', 'topic = "readings"', "have the same topic twice"),
        ('name = "bts"', 'name = "bts"\nengine = "pipe"', "engine is not a key here"),
        ('topic = "readings"', 'topic = "readings"\nformat = "csv"', "source.format is not a key here"),
        ("[scaling]", "[watch]\ndelta = 1\n[scaling]", "watch.delta is a number above 0 below 1, not 1"),
        ("[scaling]", '[readings]\nformat = "xml"\n[scaling]', "readings.format is 'xml'; allowed are json, csv"),
    ],
)
def test_what_is_wrong_is_told(old: str, new: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=told) as error:
        load_forecast(written(tmp_path, LEAST.replace(old, new, 1)))
    assert error.value.code == "BAD_SPEC"


def test_the_example_shows_the_defaults(tmp_path: Path) -> None:
    for name in ("stations.json", "stations.onnx"):
        (tmp_path / name).write_text('{"parameters": {"122": {"mean": 1, "scale": 2}}}')
    text = EXAMPLE.read_text()
    lines = text.splitlines()
    shown = [
        line.removeprefix("# ") for line in lines if not line.startswith(("# mean", "# scale", "# [", "# address"))
    ]
    shown[shown.index(lines[0][2:])] = ""
    written_out = "\n".join(shown).replace("columns = []", "")
    assert load_forecast(written(tmp_path, written_out)) == load_forecast(written(tmp_path, text))
