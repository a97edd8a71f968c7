"""Payloads of many records as one payload for one call, and its answer in parts again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.proto import Payload

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence


def groups(payloads: Sequence[Payload], most_rows: int) -> list[list[int]]:
    """Which payloads may share a call, as lists of indices.

    Arrays of one kind, dtype, row shape and column names share one, up to ``most_rows`` rows. A kind without rows,
    and an array without any row, has a call to itself.
    """
    result: list[list[int]] = []
    open_: dict[Hashable, tuple[list[int], int]] = {}
    for index, payload in enumerate(payloads):
        rows = rows_of(payload)
        if rows == 0:
            result.append([index])
            continue
        key = (payload.kind, payload.array.dtype, payload.array.shape[1:], payload.names)
        members, taken = open_.get(key, ([], 0))
        if not members or taken + rows > most_rows:
            members, taken = [], 0
            result.append(members)
        members.append(index)
        open_[key] = members, taken + rows
    return result


def stack(payloads: Sequence[Payload]) -> Payload:
    """One payload with the rows of all, in order."""
    first = payloads[0]
    if len(payloads) == 1:
        return first
    return Payload(first.kind, np.concatenate([each.array for each in payloads]), first.names)


def split(answer: Payload, asked: Sequence[Payload]) -> list[Payload] | None:
    """The answer to each of ``asked``; None where the answer does not have a row for each row."""
    if len(asked) == 1:
        return [answer]
    if not answer.kind.is_array or answer.array.ndim == 0:
        return None
    counts = [rows_of(each) for each in asked]
    if answer.array.shape[0] != sum(counts):
        return None
    return [Payload(answer.kind, part, answer.names) for part in _parts(answer.array, counts)]


def _parts(array: np.ndarray[Any, np.dtype[Any]], counts: Sequence[int]) -> Iterator[np.ndarray[Any, np.dtype[Any]]]:
    start = 0
    for count in counts:
        yield array[start : start + count]
        start += count


def rows_of(payload: Payload) -> int:
    """How many rows a payload has; 0 for a kind without rows."""
    return payload.array.shape[0] if payload.kind.is_array and payload.array.ndim > 1 else 0
