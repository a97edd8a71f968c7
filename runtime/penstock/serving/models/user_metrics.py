"""The metrics that a Python model returns, checked: Seldon takes True, NaN and negative counts for numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from penstock.proto import Metric
from penstock.serving.failures import BadMetric

_TYPES = ("COUNTER", "GAUGE", "TIMER")


def metrics_of(returned: Any) -> tuple[Metric, ...]:
    """A list of ``{"type": "COUNTER", "key": "rows", "value": 1, "tags": {…}}`` as metrics.

    Raises:
        BadMetric: what is wrong, and with which metric.
    """
    if returned is None:
        return ()
    if not isinstance(returned, list | tuple):
        raise BadMetric(f"metrics of the model is a list of metrics, not a {type(returned).__name__}")
    return tuple(_metric(one) for one in returned)


def _metric(one: Any) -> Metric:
    if not isinstance(one, dict):
        raise BadMetric(f"a metric of the model is a dict with type, key and value, not a {type(one).__name__}")
    key, kind, tags = one.get("key"), one.get("type"), one.get("tags") or {}
    if not isinstance(key, str) or not key:
        raise BadMetric("a metric of the model has no key")
    if kind not in _TYPES:
        raise BadMetric(f"metric {key!r:.80} has the type {kind!r:.40}; there are {', '.join(_TYPES)}")
    if not isinstance(tags, dict):
        raise BadMetric(f"the tags of metric {key!r:.80} are a dict")
    return Metric(key, kind, _value(key, kind, one.get("value")), {str(k): str(v) for k, v in tags.items()})


def _value(key: str, kind: str, value: Any) -> float:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadMetric(f"metric {key!r:.80} has the value {value!r:.40}, which is no number")
    # A gauge may stand below zero (a temperature, a drift); what is counted or timed cannot.
    if value < 0 and kind != "GAUGE":
        raise BadMetric(f"metric {key!r:.80} is a {kind} and has the negative value {value!r:.40}")
    return value
