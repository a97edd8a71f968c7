"""Prometheus' text format, and the sum of what several processes have to tell in it.

Format 0.0.4, which every version reads: https://prometheus.io/docs/instrumenting/exposition_formats
Written here rather than by prometheus_client, whose import is a tenth of a second and some megabytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .histogram import Histogram

    Labels = tuple[tuple[str, str], ...]

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

_SPECIAL = {float("inf"): "+Inf", float("-inf"): "-Inf"}


class Family:
    """Series of one name.

    Attributes:
        name: without the ``_total`` of a counter.
        kind: counter, gauge or histogram.
        text: says what it is, in one line.
        samples: values by what comes behind the name, and the labels.
    """

    def __init__(self, name: str, kind: str, text: str) -> None:
        self.name = name
        self.kind = kind
        self.text = text
        self.samples: dict[tuple[str, Labels], float] = {}

    def add(self, labels: Labels, value: float) -> None:
        """Take a counter's or a gauge's value."""
        self.samples["_total" if self.kind == "counter" else "", labels] = value

    def add_histogram(self, labels: Labels, histogram: Histogram) -> None:
        """Take a histogram's buckets, their count and their sum."""
        buckets = histogram.buckets()
        for bound, count in buckets:
            self.samples["_bucket", (*labels, ("le", bound))] = count
        self.samples["_count", labels] = buckets[-1][1]
        self.samples["_sum", labels] = histogram.total


def exposition(families: Iterable[Family]) -> bytes:
    """The families in Prometheus' text form."""
    return "".join(line for family in families for line in _lines(family)).encode()


def _lines(family: Family) -> Iterable[str]:
    title = f"{family.name}_total" if family.kind == "counter" else family.name
    yield f"# HELP {title} {family.text}\n# TYPE {title} {family.kind}\n"
    for (suffix, labels), value in family.samples.items():
        yield f"{family.name}{suffix}{_labels(labels)} {_number(value)}\n"


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return "NaN" if value != value else _SPECIAL.get(value) or repr(float(value))  # that is what NaN is


def summed(living: Mapping[str, Iterable[Family]], retired: Iterable[Family] = ()) -> list[Family]:
    """One family of each name: the sums over processes.

    A gauge of ours is a number of things that a process holds, so gauges of the living add up. A model's gauge may be
    anything, such as a temperature: it is told once per process, with the label ``worker``.

    Args:
        living: what each process tells, by its name.
        retired: counters and histograms of processes that are no more, which must not be lost: counters only grow.
    """
    sums: dict[tuple[str, str], Family] = {}
    for family in retired:
        if family.kind != "gauge":
            _add(sums, family, ())
    for worker, families in living.items():
        for family in families:
            own = family.kind == "gauge" and not family.name.startswith("penstock_")
            _add(sums, family, (("worker", worker),) if own else ())
    return list(sums.values())


def _add(sums: dict[tuple[str, str], Family], family: Family, more: Labels) -> None:
    total = sums.setdefault((family.name, family.kind), Family(family.name, family.kind, family.text)).samples
    for (suffix, labels), value in family.samples.items():
        key = (suffix, (*labels, *more))
        total[key] = total.get(key, 0.0) + value
