"""A rebalance while the partitions are paused because the stages are full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .test_trouble import answered, fill

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Case

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]

SLOW = """
import time

class SeldonWrapper:
    def predict(self, X, features_names=None):
        time.sleep(0.04)
        return X.sum(axis=1, keepdims=True)
"""
ONE_BY_ONE = "[batch]\nrecords = 1"


async def test_what_was_paused_is_read_again_after_a_rebalance(
    case: Case, tmp_path: Path, working: Callable[..., Any]
) -> None:
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "SeldonWrapper.py").write_text(SLOW)
    case.service = f'model = "{slow}"'
    async with working(case.spec(extra=ONE_BY_ONE)):
        await fill(case.cluster, case.source, 3, range(80))
        await case.outcome(10)  # sixteen batches are in memory: no more are taken
        async with working(case.spec(extra=ONE_BY_ONE)):
            await case.outcome(80)
    assert len(answered(case.cluster, case.sink)) == 80
