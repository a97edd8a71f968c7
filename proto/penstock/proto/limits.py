"""What is refused before anything is allocated for it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from .errors import LimitError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, eq=False)  # what is compared would be compiled at each start
class Limits:
    """Upper bounds for one message, whatever door it came through.

    Attributes:
        message_bytes: size of the encoded message; Seldon stops at gRPC's 4 MiB, images need more.
        elements: numbers or texts in one array; 2**24 float64 are 128 MiB.
        dimensions: of one array; numpy itself stops at 64.
        nesting: levels of lists and objects in JSON, ``Value`` and ``ListValue``; protobuf stops at 100.
        meta_bytes: of the encoded ``meta`` of a gRPC message, whose small entries grow thirtyfold in memory.
    """

    message_bytes: int = 64 * 1024 * 1024
    elements: int = 1 << 24
    dimensions: int = 32
    nesting: int = 64
    meta_bytes: int = 1 << 20

    def check_bytes(self, size: int) -> None:
        """Raise `LimitError` where a message has more than ``message_bytes`` bytes."""
        if size > self.message_bytes:
            raise LimitError(
                f"the message has {size:,} bytes, more than the {self.message_bytes:,} allowed",
                code="MESSAGE_TOO_LARGE",
            )

    def check_nesting(self, depth: int) -> None:
        """Raise `LimitError` where lists and objects are nested more than ``nesting`` levels deep."""
        if depth > self.nesting:
            raise LimitError(f"the value is nested deeper than {self.nesting} levels", code="NESTING_TOO_DEEP")

    def check_elements(self, count: int) -> None:
        """Raise `LimitError` where an array has more than ``elements`` elements."""
        if count > self.elements:
            raise LimitError(
                f"the array has {count:,} elements, more than the {self.elements:,} allowed",
                code="TOO_MANY_ELEMENTS",
            )

    def check_shape(self, shape: Sequence[int]) -> int:
        """Return the number of elements of ``shape``.

        Raises:
            PayloadError: a dimension is negative.
            LimitError: too many dimensions or elements; the product is exact, it cannot overflow.
        """
        count = prod(shape)
        # Almost every shape; the rest of this is for those with a 0 or something wrong.
        if 0 < count <= self.elements and len(shape) <= self.dimensions and min(shape, default=1) > 0:
            return count
        if len(shape) > self.dimensions:
            raise LimitError(
                f"the array has {len(shape)} dimensions, more than the {self.dimensions} allowed",
                code="TOO_MANY_DIMENSIONS",
            )
        if any(size < 0 for size in shape):
            raise PayloadError(f"shape {list(shape)} has a negative dimension", code="NEGATIVE_DIMENSION")
        # A 0 makes the whole array empty, but numpy still refuses the other dimensions where they overflow.
        self.check_elements(prod(size or 1 for size in shape))
        return count


DEFAULT_LIMITS = Limits()
