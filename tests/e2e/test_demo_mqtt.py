"""The forecasts over MQTT as a stranger runs them: one command, from nothing to forecasts and back to nothing."""

import re
from pathlib import Path

import pytest

from .test_demo import demo, processes_of

pytestmark = pytest.mark.xdist_group("demo")


def test_it_forecasts_sums_up_and_leaves_nothing_behind(tmp_path: Path) -> None:
    result = demo(tmp_path, "--mqtt", "--images", "400")
    assert result.returncode == 0, result.stdout + result.stderr
    for step in ("broker", "model", "worker"):
        assert f"✓ {step}" in result.stdout
    assert "400 of 400 readings" in result.stdout
    errors = re.search(r"off by\s+([\d.]+) on average; “as the last value”: ([\d.]+)", result.stdout)
    assert errors is not None
    assert 0 < float(errors[1]) < float(errors[2]), "a forecaster is of use where it beats the last value"
    assert not processes_of(tmp_path)
