"""Bodies with a ``content-encoding``, and what HTTP answers where they are not in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.proto import Overloaded, PayloadError, RequestError

from .inflating import WINDOWS, Inflating, NotInflatedError, Why

if TYPE_CHECKING:
    from penstock.proto import Limits


class BodyInflating:
    """For all requests of a service."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._inflating = Inflating(limits.message_bytes)

    async def inflated(self, body: bytes, encoding: bytes) -> bytes:
        """The body as it was before ``content-encoding``.

        Raises:
            RequestError: 415, an encoding that is not read. PayloadError: the body is not in it.
            LimitError: it gets larger than a message may be; known before it is. Overloaded: too many wait.
        """
        encoding = encoding.lower()
        if encoding == b"identity":
            return body
        if encoding not in WINDOWS:
            raise RequestError(
                f"the body has the content encoding {encoding.decode('latin-1')!r:.40}; gzip and deflate are read",
                code="UNSUPPORTED_ENCODING",
                http_status=415,
            )
        try:
            return await self._inflating.inflated(body, WINDOWS[encoding])
        except NotInflatedError as failed:
            why = failed.why
        if why is Why.TOO_LARGE:
            self._limits.check_bytes(self._limits.message_bytes + 1)
        if why is Why.TOO_MANY:
            raise Overloaded("too many compressed bodies wait; try again")
        name = encoding.decode()
        told = {Why.CUT_OFF: f"the body's {name} is cut off", Why.GOES_ON: f"the body goes on behind its {name}"}
        raise PayloadError(told.get(why, f"the body is not {name}"), code="BAD_ENCODING")
