"""A first run on made-up rows: it warms the session, shows the classes, and proves whether rows are independent.

Requests may share a run only where a row's answer does not depend on the rows beside it. That cannot be read from
a model (a softmax over the wrong axis, a dynamically quantised layer), but it can be tried.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.proto.payload import Array

    from .inputs import Input

    Feeds = list[Array]

# Wider than the rounding of another batch size, narrower than what another row's influence would be.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-5
# From so many numbers on they are the first ones again, as those of an image would take longer to make than to run. A
# prime, so that rows do not repeat each other.
_PERIOD = 65_521
# MurmurHash3's last steps, which give each number an unlike one (Appleby 2011): shift and factor; then one more shift.
_STEPS, _LAST = ((16, 0x85EBCA6B), (13, 0xC2B2AE35)), 16
_HALF = 0.5


def made_up(inputs: Sequence[Input], rows: int) -> Feeds:
    """Arrays that fit the inputs: ``rows`` rows where that is open, 1 for every other open size."""
    return [_array(one, rows) for one in inputs]


def _array(one: Input, rows: int) -> Array:
    shape = [max(1, size) if size else 0 for size in one.spec.shape]
    if shape and one.spec.shape[0] < 0:
        shape[0] = rows
    if one.dtype == object:
        texts = np.empty(shape, object)
        texts.reshape(-1)[:] = [("a", "b")[index % 2] for index in range(texts.size)]
        return texts
    numbers = _scattered(prod(shape))
    # 0 and 1 are legal for an index, a flag and a count alike.
    values = numbers if one.dtype.kind == "f" else numbers >= _HALF
    return values.astype(one.dtype, copy=False).reshape(shape)


def _scattered(count: int) -> Array:
    """Numbers from 0 to 1 that nothing can be seen to join, always the same; numpy.random takes 7 ms to import."""
    if count > _PERIOD:
        return np.resize(_scattered(_PERIOD), count)
    mixed = np.arange(1, count + 1, dtype=np.uint32)
    for shift, factor in _STEPS:
        mixed ^= mixed >> shift
        mixed *= np.uint32(factor)
    mixed ^= mixed >> _LAST
    return np.multiply(mixed, 2.0**-32, dtype=np.float32)


def are_independent(run: Callable[[Feeds], list[Array]], feeds: Feeds, together: list[Array]) -> bool:
    """Whether two rows, already run ``together``, give the same answers alone."""
    if any(output.ndim == 0 or len(output) != 2 for output in together):
        return False
    for row in range(2):
        alone = run([array[row : row + 1] for array in feeds])
        for one, both in zip(alone, together, strict=True):
            if one.shape != both[row : row + 1].shape or not _equal(one, both[row : row + 1]):
                return False
    return True


def _equal(one: Array, other: Array) -> bool:
    if one.dtype.kind == "f":
        return np.allclose(one, other, _RELATIVE, _ABSOLUTE, equal_nan=True)
    return bool((one == other).all())
