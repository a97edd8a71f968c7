"""Reading what came back."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from penstock.proto.errors import LimitError, PayloadError, ServiceError

from ._failures import rebuilt

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.proto import Limits, Message

    from ._address import Address

_T = TypeVar("_T")


def read_reply(read: Callable[[bytes, Limits], _T], data: bytes, limits: Limits, address: Address) -> _T:
    """Read a reply with ``read``.

    Raises:
        LimitError: it is larger than ``limits`` allow. ServiceError: ``BAD_REPLY``, it is not what was expected.
    """
    try:
        return read(data, limits)
    except LimitError as error:
        raise LimitError(f"the reply of {address}: {error.message}", code=error.code) from None
    except PayloadError as error:
        text = f"{address} answered with something else than a SeldonMessage: {error.message}"
        raise ServiceError(text, code="BAD_REPLY") from None


def checked(message: Message) -> Message:
    """``message``, unless it is a failure that a foreign service has sent as a success.

    Raises:
        PenstockError: the failure.
    """
    status = message.status
    if status is not None and status.failure and message.payload is None:
        bad_data = status.reason == "MICROSERVICE_BAD_DATA"
        raise rebuilt("INVALID_ARGUMENT" if bad_data else "INTERNAL", status.info or status.reason)
    return message
