"""Seldon's ``Meta`` and ``Status`` in protobuf bytes, by protobuf's own parser: the small parts beside a payload."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtobufMessage

from . import prediction_pb2 as pb
from .asides import Metric, Status
from .errors import PayloadError
from .payload import Meta
from .values import read_value, write_value

if TYPE_CHECKING:
    from .limits import Limits

_METRIC_TYPES = ("COUNTER", "GAUGE", "TIMER")
_M = TypeVar("_M", bound=ProtobufMessage)


def read_by_protobuf(data: bytes, limits: Limits) -> Meta:
    """Read any ``Meta``; the errors of `meta_wire.read_meta`."""
    meta = parse(pb.Meta, data, "meta")
    return Meta(
        puid=meta.puid,
        tags={key: _tag(value, limits) for key, value in meta.tags.items()},
        routing=dict(meta.routing),
        request_path=dict(meta.requestPath),
        metrics=tuple(_read_metric(metric) for metric in meta.metrics),
    )


def _tag(value: ProtobufMessage, limits: Limits) -> object:
    encoded = value.SerializeToString()
    return read_value(encoded, 0, len(encoded), limits) if encoded else None


def _read_metric(metric: pb.Metric) -> Metric:
    kind = _METRIC_TYPES[metric.type] if 0 <= metric.type < len(_METRIC_TYPES) else str(int(metric.type))
    # The shortest text of the float32 that came, so that 20.2 stays 20.2.
    return Metric(metric.key, kind, float(str(np.float32(metric.value))), dict(metric.tags))


def read_status(data: bytes) -> Status:
    """Read a ``Status``."""
    status = parse(pb.Status, data, "status")
    return Status(status.code, status.info, status.reason, failure=status.status == pb.Status.FAILURE)


def parse(kind: type[_M], data: bytes, what: str) -> _M:
    """A small message, by protobuf itself; PayloadError where the bytes are none."""
    try:
        return kind.FromString(data)
    except DecodeError:
        raise PayloadError(f"{what} is no {kind.DESCRIPTOR.name} message", code="BAD_WIRE") from None


def write_by_protobuf(meta: Meta) -> bytes:
    """Write any ``Meta``, the keys of its maps sorted."""
    message = pb.Meta(puid=meta.puid, routing=meta.routing, requestPath=meta.request_path)
    for key, value in meta.tags.items():
        message.tags[key].MergeFromString(write_value(value))
    for metric in meta.metrics:
        known = metric.type in _METRIC_TYPES
        # A type that came as a number of no name goes on as that number: protobuf's enums are open.
        kind = _METRIC_TYPES.index(metric.type) if known else int(metric.type)
        message.metrics.add(key=metric.key, type=kind, value=metric.value, tags=metric.tags)
    return message.SerializeToString(deterministic=True)


def write_status(status: Status) -> bytes:
    """Write a ``Status``."""
    flag = pb.Status.FAILURE if status.failure else pb.Status.SUCCESS
    return pb.Status(code=status.code, info=status.info, reason=status.reason, status=flag).SerializeToString()
