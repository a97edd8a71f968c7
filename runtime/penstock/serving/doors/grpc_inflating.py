"""Messages that the caller has compressed, and what gRPC answers where they are not what they are said to be."""

from __future__ import annotations

from .grpc_status import Refused
from .inflating import WINDOWS, Inflating, NotInflatedError, Why


class MessageInflating:
    """For all calls of a service.

    Args:
        most: bytes that a message may have.
    """

    def __init__(self, most: int) -> None:
        self._inflating = Inflating(most)

    async def inflated(self, message: bytes, encoding: bytes) -> bytes:
        """The message as it was before it was compressed.

        Raises:
            Refused: it was not; it gets larger than allowed, which is known before it does; or too many wait.
        """
        if encoding not in WINDOWS:
            raise Refused("INTERNAL", "Compression bit set but no encoding configured")
        if not message:
            return message  # no zlib data, but grpc's own server takes it
        try:
            return await self._inflating.inflated(message, WINDOWS[encoding])
        except NotInflatedError as failed:
            raise _refusal(failed.why) from None


def _refusal(why: Why) -> Refused:
    if why is Why.TOO_LARGE:
        return Refused("RESOURCE_EXHAUSTED", "Decompressed message larger than max")
    if why is Why.TOO_MANY:
        return Refused("RESOURCE_EXHAUSTED", "too many compressed messages wait; try again")
    error = "not all input consumed" if why is Why.GOES_ON else "zlib error"
    return Refused("INTERNAL", f"Decompression failed due to {error}")
