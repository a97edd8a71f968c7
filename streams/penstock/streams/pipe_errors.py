"""What an error of librdkafka means for a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError

from penstock.proto import LimitError, PenstockError, SetupError, Unauthenticated

from .librdkafka import in_our_words

if TYPE_CHECKING:
    from .spec import Kafka

# The record itself is what the broker does not take.
_RECORD: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG})


class Rejoin(Exception):  # noqa: N818  (a decision, not an error)
    """The membership is over: drop all that is in hand and join the group as a new member.

    What has no outcome yet is read again, from the committed offsets.
    """


def raised(error: KafkaError, doing: str, kafka: Kafka) -> Exception:
    """What to raise for an error that librdkafka does not get over by itself."""
    if error.code() == KafkaError.INCONSISTENT_GROUP_PROTOCOL:
        return SetupError(
            f"group {kafka.group} at {kafka.bootstrap} has members that are no pipes (workers of the faust engine?); "
            "stop them first, or choose another kafka.group",
            code="OTHER_ENGINE",
        )
    ours = in_our_words(error, kafka)
    if isinstance(ours, Unauthenticated):  # neither waiting nor joining again will change it
        return ours
    return Rejoin(f"{doing}: {error.str()}")


def is_about_the_record(error: KafkaError) -> bool:
    """Whether the broker refuses the record, or the batch it is in, for what it is."""
    return error.code() in _RECORD


def refusal(error: KafkaError, size: int) -> PenstockError:
    """Why a result of ``size`` bytes becomes a dead letter."""
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return LimitError(f"the result has {size:,} bytes, more than the broker takes", code="RESULT_TOO_LARGE")
    return LimitError(f"the broker does not take the result: {error.str()}", code="RESULT_REFUSED")
