"""What few messages have: metrics, a status, feedback. Imported with the first of them, as a start should be short."""

from __future__ import annotations

from dataclasses import dataclass, field

from .payload import Message


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that a model returns with its answer (Seldon's ``meta.metrics``).

    Attributes:
        key: its name.
        type: COUNTER (added), GAUGE (set) or TIMER (milliseconds).
        value: kept as a float32 by the gRPC form.
        tags: labels.
    """

    key: str
    type: str
    value: float
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Status:
    """Seldon's ``status``: only failures carry one.

    Attributes:
        code: Seldon puts -1; over HTTP the real code is the HTTP status.
        info: what went wrong, for a person.
        reason: one of Seldon's ``MICROSERVICE_…`` words.
        failure: the flag, SUCCESS or FAILURE on the wire.
    """

    code: int = 0
    info: str = ""
    reason: str = ""
    failure: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Feedback:
    """A request, the response it got, how good that was, and what would have been right."""

    request: Message = field(default_factory=Message)
    response: Message = field(default_factory=Message)
    reward: float = 0.0
    truth: Message = field(default_factory=Message)
