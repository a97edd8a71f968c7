"""Numbered records, each with a key, and what has to come of each: its answer, or a dead letter where it is bad."""

from __future__ import annotations

import json

NUMBER = "number"  # the header that says which record it is, and that results and dead letters keep
ONE_BAD_IN = 64
_KEYS = 500
_NOT_FOR_THE_MODEL = -1

MODEL = f'''
import numpy as np

class SeldonWrapper:
    """Twice the first minus the second, for each row."""

    def predict(self, X, features_names=None):
        X = np.asarray(X, dtype=float)
        if (X[:, 0] == {_NOT_FOR_THE_MODEL}).any():
            raise ValueError("a row that this model cannot bear")
        return 2 * X[:, :1] - X[:, 1:]
'''


def is_bad(number: int) -> bool:
    """Whether it has to become a dead letter."""
    return number % ONE_BAD_IN == 21


def key_of(number: int) -> bytes:
    """Its key."""
    return b"station-%d" % (number * 7919 % _KEYS)


def value_of(number: int) -> bytes:
    """Its value; the bad ones are not JSON, or, one of them in eight, not to the model's liking."""
    if not is_bad(number):
        return b'{"x": [%d, %d]}' % (number, number % 7)
    if number % (8 * ONE_BAD_IN) != 21:
        return b'{"x": [%d, ' % number
    return b'{"x": [%d, %d]}' % (_NOT_FOR_THE_MODEL, number)


def is_right(number: int, key: bytes | None, value: bytes | None, *, dead: bool) -> bool:
    """Whether this is what has to come of it."""
    if key != key_of(number) or value is None or dead is not is_bad(number):
        return False
    if dead:
        return value == value_of(number)
    return bool(json.loads(value) == json.loads(value_of(number)) | {"answer": [2 * number - number % 7]})
