"""Which failed attempts are repeated, when, and until when."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from tenacity import retry_if_exception, stop_after_attempt, wait_random_exponential

from ._call import Route
from ._failures import AttemptFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState

    from ._address import Address
    from ._call import Call
    from ._settings import Retries

_log = logging.getLogger("penstock.client")


def may_repeat(failed: BaseException, call: Call) -> bool:
    """Whether a failed attempt may be repeated.

    Only where a repetition can help. A prediction changes nothing, so it may run twice; a feedback is counted by the
    service, so it is only repeated where it has surely not been seen.
    """
    return (
        isinstance(failed, AttemptFailed)
        and failed.error.retryable
        and not (call.route is Route.FEEDBACK and failed.executed)
    )


def policy(retries: Retries, call: Call, address: Address) -> dict[str, Any]:
    """The settings of tenacity for one call: back-off with full jitter, within the call's deadline."""
    back_off = wait_random_exponential(multiplier=retries.first_wait, max=retries.longest_wait)
    most = stop_after_attempt(retries.attempts)

    def wait(state: RetryCallState) -> float:
        return max(back_off(state), _failure(state).retry_after)

    def stop(state: RetryCallState) -> bool:
        # Before the wait, not after it: the caller gets the error as soon as it is clear that nothing will help.
        return most(state) or monotonic() + state.upcoming_sleep >= call.ends

    return {
        "retry": retry_if_exception(lambda failed: may_repeat(failed, call)),
        "wait": wait,
        "stop": stop,
        "before_sleep": _logged(address),
        "reraise": True,
    }


def _logged(address: Address) -> Callable[[RetryCallState], None]:
    def log(state: RetryCallState) -> None:
        _log.info(
            "%s: attempt %d failed (%s); the next in %.2f s",
            address,
            state.attempt_number,
            _failure(state).error.message,
            state.upcoming_sleep,
        )

    return log


def _failure(state: RetryCallState) -> AttemptFailed:
    # `may_repeat` has let nothing else through.
    return cast("AttemptFailed", state.outcome and state.outcome.exception())
