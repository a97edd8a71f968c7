"""The model of the tests, repaired: what it could not bear before, it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

BETTER = '''
import numpy as np

class SeldonWrapper:
    """Answers every row with its sum, also those that the first version could not bear."""

    def predict(self, X, features_names=None):
        return np.asarray(X, dtype=float).sum(axis=1, keepdims=True)
'''


@pytest.fixture
def better(tmp_path: Path) -> Path:
    folder = tmp_path / "better"
    folder.mkdir()
    (folder / "SeldonWrapper.py").write_text(BETTER)
    return folder
