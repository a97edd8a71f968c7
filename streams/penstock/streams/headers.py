"""The headers of results and dead letters. The original ones stay, in order and byte for byte, and come first."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from penstock.proto.trace_context import TRACEPARENT, TRACESTATE, read_trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.proto.trace_context import Trace

    from .records import Headers, Record

PUID: Final = "puid"
MODEL: Final = "penstock-model"
VERSION: Final = "penstock-version"
STREAM: Final = "penstock-stream"
ELAPSED: Final = "penstock-elapsed-ms"
CALL: Final = "penstock-call"

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
_SET_HERE: Final = frozenset({MODEL, VERSION, STREAM, ELAPSED, CALL})


def puid_of(record: Record) -> str:
    """What identifies the record's prediction: its header ``puid`` or ``seldon-puid``, or one made from its place.

    Made from topic, partition, offset and timestamp, so that a record that is processed twice gets the same puid
    twice: whoever reads the results can tell doubles by it.
    """
    return puids_of([record])[0].decode()


def puids_of(records: Sequence[Record]) -> list[bytes]:
    """`puid_of` of each, as header values."""
    puids, begun = [], dict[tuple[str, int], blake2b]()
    for topic, partition, offset, timestamp, _, _, headers in records:
        told = _told_puid(headers) if headers else None
        if told is None:
            # What all records of a partition begin with is hashed once: that is two fifths of the time.
            start = begun.get((topic, partition))
            if start is None:
                start = begun[topic, partition] = blake2b(f"{topic}/{partition}/".encode(), digest_size=16)
            place = start.copy()
            place.update(b"%d/%d" % (offset, timestamp))
            told = place.hexdigest().encode()
        puids.append(told)
    return puids


def _told_puid(headers: Headers) -> bytes | None:
    for name, value in headers:
        if value and name.lower() in _PUID_NAMES:
            return value.decode("utf-8", "replace").encode()
    return None


def traces_of(records: Sequence[Record]) -> dict[int, Trace]:
    """The traces that records belong to, by their places; those without one are not there."""
    found = ((place, _trace_of(record.headers)) for place, record in enumerate(records) if record.headers)
    return {place: trace for place, trace in found if trace is not None}


def _trace_of(headers: Headers) -> Trace | None:
    parents = [value for name, value in headers if name.lower() == TRACEPARENT]
    if not parents:
        return None
    return read_trace(parents, [value for name, value in headers if name.lower() == TRACESTATE])


def result_headers(record: Record, puid: bytes, told: Headers, parent: str = "") -> Headers:
    """Headers of a result.

    Args:
        record: the source; what an earlier stream has told about its own model is left out.
        puid: of the prediction.
        told: model, version, stream and time taken, the same for all records of a call.
        parent: ``traceparent`` in place of the record's own, where it is part of a trace.
    """
    original = record.headers
    if not original:
        return [(PUID, puid), *told]
    kept = [header for header in original if header[0] not in _SET_HERE]
    if parent:
        kept = [(name, parent.encode() if name.lower() == TRACEPARENT else value) for name, value in kept]
    if any(name == PUID for name, _ in kept):
        return [*kept, *told]
    return [*kept, (PUID, puid), *told]


def headers_of_results(
    records: Sequence[Record], puids: Sequence[bytes], told: Headers, parents: Mapping[int, str]
) -> list[Headers]:
    """`result_headers` of each of the records of a call; ``parents`` by their places among them."""
    return [
        result_headers(record, puid, told, parents.get(at, "")) if record.headers else [(PUID, puid), *told]
        for at, (record, puid) in enumerate(zip(records, puids, strict=True))
    ]


def told_headers(stream: str, model: str = "", version: str = "", seconds: float = 0.0, call: str = "") -> Headers:
    """What a result says about where it comes from.

    Args:
        stream: its name.
        model: who answered.
        version: of the model.
        seconds: from the start of the batch to the answer; told in milliseconds.
        call: puid of the call, where it is another than the result's.
    """
    told: Headers = [
        (STREAM, stream.encode()),
        (MODEL, model.encode()),
        (VERSION, version.encode()),
        (ELAPSED, b"%.3f" % (seconds * 1000)),
    ]
    return [*told, (CALL, call.encode())] if call else told
