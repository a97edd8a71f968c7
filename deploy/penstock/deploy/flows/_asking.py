"""What NiFi does in the background, waited for; and what it refuses because somebody else was quicker, asked again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from penstock.proto.errors import DeadlineExceeded, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.deploy.canvas import Connection

_T = TypeVar("_T")
_PAUSE: Final = 0.1  # seconds between two looks
_BACKGROUND: Final = 180.0  # seconds; stopping the processors that an update touches is part of it
_TRIES: Final = 8
_OUTDATED: Final = ("is not the most up-to-date revision", "Invalid Revision given")


def background(nifi: Connection, path: str, body: Mapping[str, Any], *, doing: str) -> None:
    """Start one of NiFi's asynchronous requests and wait until it is done.

    Args:
        nifi: the NiFi.
        path: where such requests are made.
        body: the request.
        doing: what it is for, in the message of an error.

    Raises:
        RequestError: NiFi could not do it; it is as before.
        DeadlineExceeded: it takes longer than three minutes.
    """
    answer = nifi.post(path, body)["request"]
    # Replace requests are asked for at an address that has no group in it; NiFi tells it.
    status = answer["uri"].partition("/nifi-api")[2]
    try:
        end = time.monotonic() + _BACKGROUND
        while not answer["complete"]:
            if time.monotonic() > end:
                raise DeadlineExceeded(f"NiFi at {nifi.address} is not done after {_BACKGROUND:.0f} s with {doing}")
            time.sleep(_PAUSE)
            answer = nifi.get(status)["request"]
    finally:
        nifi.delete(status)
    if answer.get("failureReason"):
        reason = answer["failureReason"]
        raise RequestError(f"NiFi at {nifi.address} refuses {doing}: {reason}", code="NIFI_CONFLICT", http_status=409)


def is_outdated(error: RequestError) -> bool:
    """Whether somebody else has changed the component since it was read."""
    return any(words in error.message for words in _OUTDATED)


def with_fresh_revision(change: Callable[[], _T]) -> _T:
    """Do ``change``, which reads a revision and writes with it, again when somebody was quicker."""
    for _ in range(_TRIES - 1):
        try:
            return change()
        except RequestError as error:
            if not is_outdated(error):
                raise
            time.sleep(_PAUSE)
    return change()


def until(done: Callable[[], bool], seconds: float) -> bool:
    """Look until it is done, or the time is up."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(_PAUSE)
    return True
