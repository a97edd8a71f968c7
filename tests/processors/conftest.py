"""Models that answer what they were asked, in services of their own."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("onnxruntime")

from tests.client.conftest import free_port, grpc_echo  # noqa: F401  (its servers serve here too)
from tests.serving.conftest import Served, served

from penstock.serving.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ECHO = """
class SeldonWrapper:
    def predict(self, X, names):
        self.names = list(names)
        return X
    def class_names(self):
        return self.names
"""
DOUBLE = """
import numpy as np
class SeldonWrapper:
    def predict(self, X, names):
        if len(X) and X[0][0] == 13:
            raise RuntimeError("unlucky")
        return np.asarray(X)[:2] * 2 if len(X) == 99 else np.asarray(X) * 2
    def class_names(self):
        return ["a", "b"]
"""
LABEL = """
class SeldonWrapper:
    def predict(self, X, names):
        return [["big" if max(row) > 5 else "small", float(max(row))] for row in X.tolist()]
    def class_names(self):
        return ["label", "score"]
"""


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Writes a model of a source text, once."""
    base = tmp_path_factory.mktemp("models")

    def write(source: str) -> Path:
        folder = base / f"{abs(hash(source))}"
        if not folder.exists():
            folder.mkdir()
            (folder / "SeldonWrapper.py").write_text(source)
        return folder

    return write


@pytest.fixture(scope="session")
def serve_source(model_folder: Callable[[str], Path]) -> Iterator[Callable[..., Served]]:
    """``serve_source(source, name)`` gives a running service."""
    with ExitStack() as stack:
        known: dict[tuple[str, str], Served] = {}

        def start(source: str, name: str = "echo") -> Served:
            if (source, name) not in known:
                settings = Settings(model=model_folder(source), name=name, grpc_port=0, http_port=0, drain=1)
                known[source, name] = stack.enter_context(served(settings))
            return known[source, name]

        yield start
