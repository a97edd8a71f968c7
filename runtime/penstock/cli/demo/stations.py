"""Readings of base stations, made with a seed: the load of a day, with hours, noise and now and then a burst."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from penstock.streams.forecast.readings import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator

STATIONS: Final = ("north", "harbour", "airport")
PARAMETER: Final = "load"

_DAY: Final = 96  # readings: one every quarter of an hour
_LEARNED_DAYS: Final = 20


def learned() -> list[Reading]:
    """The days that the model is trained on."""
    return [
        reading for station in STATIONS for reading in _readings(station, np.arange(_LEARNED_DAYS * _DAY), "history")
    ]


def following() -> Iterator[Reading]:
    """The days after these, station by station in turn, without end."""
    first = _LEARNED_DAYS * _DAY
    while True:
        days = [_readings(station, np.arange(first, first + _DAY), f"day {first}") for station in STATIONS]
        for readings in zip(*days, strict=True):
            yield from readings
        first += _DAY


def _readings(station: str, numbers: np.ndarray[tuple[int], np.dtype[np.int64]], part: str) -> list[Reading]:
    seed = [*station.encode(), *part.encode()]
    random = np.random.default_rng(seed)
    phase = STATIONS.index(station) * _DAY // 8
    hours = 2 * np.pi * (numbers + phase) / _DAY
    load = 60 + 25 * np.sin(hours) + 8 * np.sin(3 * hours) + random.normal(0, 1.5, len(numbers))
    load += np.where(random.random(len(numbers)) < 0.005, 20, 0)
    return [
        Reading(station, PARAMETER, float(number), float(number), round(float(value), 2))
        for number, value in zip(numbers, load, strict=True)
    ]
