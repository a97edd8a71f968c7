"""Write to a topic: what is not of the kind that was said is not sent."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kafka import KafkaProducer  # type: ignore[import-untyped]  # it has no types

from penstock.proto import Kind, PayloadError, decode
from penstock.proto.jsontext import loads

from .client import client
from .listing import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from penstock.streams.pointers import Pointer
    from penstock.streams.spec import Kafka

_DEADLINE_MS: Final = 30_000  # for all replicas to have a record
_UNDER_WAY: Final = 2_000  # records that are not acknowledged yet
_LARGEST: Final = 1 << 30  # bytes of a record; the broker has the last word


@dataclass(frozen=True, slots=True)
class Form:
    """How a file becomes records.

    Attributes:
        kind: what each value is.
        whole: whether the file is one record; else each of its lines is.
        key: of each record; None for none.
        key_field: where the key is inside a JSON value: text as it is, anything else as JSON.
        headers: of each record.
    """

    kind: Kind
    whole: bool = False
    key: bytes | None = None
    key_field: Pointer | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Readable(NamedTuple):
    """A value that is of its kind, and its key; None as the value says that the key is no more."""

    key: bytes | None
    value: bytes | None


@dataclass(slots=True)
class Sent:
    """What has been written.

    Attributes:
        records: how many.
        bytes: of their values.
        last: partition and offset of the last one.
    """

    records: int = 0
    bytes: int = 0
    last: tuple[int, int] | None = None

    def _settle(self, waiting: deque[Any], most: int) -> None:
        while len(waiting) > most:
            future, size = waiting.popleft()
            written = future.get(timeout=_DEADLINE_MS / 1000)
            self.records += 1
            self.bytes += size
            self.last = (written.partition, written.offset)


def readable(source: BinaryIO, form: Form, name: str = "") -> Iterator[Readable]:
    """The records of a file, one by one.

    Lines of binData are base64, and empty lines are passed over, except of strData.

    Args:
        source: opened for bytes.
        form: what it holds.
        name: of the file, for the message of an error.

    Raises:
        PayloadError: what is there is not of the kind, with file and line.
    """
    if form.whole:
        yield _readable(source.read(), form, name or "the value", base64_text=False)
        return
    for number, line in enumerate(source, 1):
        value = line.rstrip(b"\r\n")
        if value.strip() or form.kind is Kind.STR_DATA:
            where = f"{name}, line {number}" if name else f"line {number}"
            yield _readable(value, form, where, base64_text=True)


def produce(
    kafka: Kafka,
    topic: str,
    records: Iterable[Readable],
    form: Form,
    *,
    partition: int | None = None,
    told: Callable[[int], None] | None = None,
) -> Sent:
    """Write records, and wait until all replicas have them.

    Args:
        kafka: the broker.
        topic: its name; it is not created.
        records: keys and values; they are taken as they are sent, so a file of any length does.
        form: for the headers.
        partition: instead of the one that the key decides.
        told: gets the number of records, now and then.

    Raises:
        SetupError: there is no such topic. PenstockError: the broker does not answer, or does not take a record.
            PayloadError: as `readable`; what came before is written.
    """
    require(kafka, topic)
    sent = Sent()
    waiting: deque[Any] = deque()
    options = {
        "acks": "all",
        "linger_ms": 5,
        "max_block_ms": _DEADLINE_MS,
        "request_timeout_ms": _DEADLINE_MS // 2,
        "delivery_timeout_ms": _DEADLINE_MS,
        "max_request_size": _LARGEST,
    }
    with client(KafkaProducer, kafka, **options) as producer:
        try:
            for record in records:
                future = producer.send(
                    topic, record.value, key=record.key, headers=list(form.headers), partition=partition
                )
                waiting.append((future, len(record.value or b"")))
                sent._settle(waiting, _UNDER_WAY)
                if told and sent.records % 1000 == 0:
                    told(sent.records)
        finally:
            sent._settle(waiting, 0)
    return sent


def _readable(value: bytes, form: Form, where: str, *, base64_text: bool) -> Readable:
    try:
        if form.kind is Kind.BIN_DATA and base64_text:
            value = bytes(decode(form.kind, value, base64_text=True).value)
        else:
            decode(form.kind, value)
        return Readable(_key(value, form), value)
    except PayloadError as error:
        raise PayloadError(f"{where}: {error.message}", code=error.code) from None


def _key(value: bytes, form: Form) -> bytes | None:
    if form.key_field is None:
        return form.key
    found = form.key_field.get(loads(value))
    return (found if isinstance(found, str) else json.dumps(found, separators=(",", ":"))).encode()
