"""The headers of results and dead letters. The original ones stay, in order and byte for byte, and come first."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .records import Headers, Record

PUID: Final = "puid"
MODEL: Final = "penstock-model"
VERSION: Final = "penstock-version"
STREAM: Final = "penstock-stream"
ELAPSED: Final = "penstock-elapsed-ms"

# A dead letter has these after the original headers, ORIGINALS first: the first so many headers are the original's.
ORIGINALS: Final = "penstock-dlq-original-headers"
REASON: Final = "penstock-dlq-reason"
MESSAGE: Final = "penstock-dlq-message"
TOPIC: Final = "penstock-dlq-topic"
PARTITION: Final = "penstock-dlq-partition"
OFFSET: Final = "penstock-dlq-offset"
TIMESTAMP: Final = "penstock-dlq-timestamp"
ATTEMPTS: Final = "penstock-dlq-attempts"

_PUID_NAMES: Final = frozenset({"puid", "seldon-puid"})
_SET_HERE: Final = frozenset({MODEL, VERSION, STREAM, ELAPSED})


def puid_of(record: Record) -> str:
    """What identifies the record's prediction: its header ``puid`` or ``seldon-puid``, or one made from its place.

    Made from topic, partition, offset and timestamp, so that a record that is processed twice gets the same puid
    twice: whoever reads the results can tell doubles by it.
    """
    for name, value in record.headers:
        if value and name.lower() in _PUID_NAMES:
            return value.decode("utf-8", "replace")
    place = f"{record.topic}/{record.partition}/{record.offset}/{record.timestamp}"
    return blake2b(place.encode(), digest_size=16).hexdigest()


def result_headers(record: Record, puid: str, told: Headers) -> Headers:
    """Headers of a result.

    Args:
        record: the source; what an earlier stream has told about its own model is left out.
        puid: of the prediction.
        told: model, version, stream and time taken, the same for all records of a call.
    """
    if not record.headers:
        return [(PUID, puid.encode()), *told]
    kept = [header for header in record.headers if header[0] not in _SET_HERE]
    if any(name == PUID for name, _ in kept):
        return [*kept, *told]
    return [*kept, (PUID, puid.encode()), *told]


def told_headers(stream: str, model: str, version: str, seconds: float) -> Headers:
    """What a result says about where it comes from; the time is in milliseconds."""
    return [
        (STREAM, stream.encode()),
        (MODEL, model.encode()),
        (VERSION, version.encode()),
        (ELAPSED, b"%.3f" % (seconds * 1000)),
    ]
