"""Whose fault a failed call is, and so what follows."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from penstock.proto import (
    DeadlineExceeded,
    ModelFailure,
    ModelInputError,
    ModelLoadError,
    PayloadError,
    RequestError,
    SetupError,
    Unauthenticated,
)

if TYPE_CHECKING:
    from penstock.proto import PenstockError


class Fate(Enum):
    """What follows from a failed call.

    Attributes:
        BLAME: the payload is at fault, or the model with it: find the bad one and set it aside.
        WAIT: the service is away or overloaded: ask again, for as long as it takes.
        DOUBT: it may be either (no answer in time, an answer that makes no sense): halve, ask a single one three
            times, and blame it only once the service has answered another one and then again not this one.
        STOP: neither will change by itself (no right to ask, wrong route): the stream ends, with nothing lost.
    """

    BLAME = auto()
    WAIT = auto()
    DOUBT = auto()
    STOP = auto()


def fate(error: PenstockError) -> Fate:
    """What a failed call means for what was asked."""
    match error:
        case PayloadError() | ModelInputError() | ModelFailure():
            return Fate.BLAME
        case RequestError():
            return Fate.BLAME if error.http_status == 400 else Fate.STOP
        case SetupError() | Unauthenticated():
            return Fate.STOP
        case ModelLoadError():
            return Fate.WAIT
        case DeadlineExceeded():
            return Fate.DOUBT
    if error.retryable:
        return Fate.WAIT
    return Fate.DOUBT
