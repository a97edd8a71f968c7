"""Streams whose records are looked for afterwards."""

from __future__ import annotations

from ..better_model import better

__all__ = ["better"]  # a fixture
