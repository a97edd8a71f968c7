"""Where workers keep what they share."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.serving.settings import Settings

# Below this, bytes, the copies of a model cost less than the longer start.
_WORTH_SHARING = 128 << 20


@contextmanager
def sharing(settings: Settings) -> Iterator[Settings]:
    """The settings with a folder for the shared form of a large ONNX model; it is removed in the end."""
    models = sorted(settings.model.glob("*.onnx")) if settings.model.is_dir() else [settings.model]
    sizes = [path.stat().st_size for path in models if path.suffix == ".onnx" and path.is_file()]
    if max(sizes, default=0) < _WORTH_SHARING:
        yield settings
        return
    with TemporaryDirectory(prefix="penstock-", ignore_cleanup_errors=True) as folder:
        yield replace(settings, shared=Path(folder))
