"""What is measured: which model, how many rows in a request, how many callers at a time."""

from __future__ import annotations

from dataclasses import dataclass

from bench.nets import SEED

__all__ = ["SEED", "WORKS", "Work"]


@dataclass(frozen=True, slots=True)
class Work:
    """One of the works that the peers were compared by.

    Attributes:
        name: short, as in the results.
        says: the same for a reader.
        model: one of ``bench.nets``.
        rows: in a request.
        callers: requests in flight at a time.
    """

    name: str
    says: str
    model: str
    rows: int
    callers: int


WORKS = (
    Work("W1c1", "iris, one row, 1 caller", "iris", 1, 1),
    Work("W1c64", "iris, one row, 64 callers", "iris", 1, 64),
    Work("W2", "iris, 256 rows, 16 callers", "iris", 256, 16),
    Work("W3", "MLP 128-512-512-10, one row, 64 callers", "mlp", 1, 64),
    Work("W4", "image of 299x299x3, 2 callers", "image", 1, 2),
)
