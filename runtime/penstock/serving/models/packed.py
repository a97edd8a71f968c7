"""An ONNX model in a form whose weights several processes share.

onnxruntime rearranges weights when it loads a model, into memory of the process: n workers need n times as much. It
can write the rearranged weights down, too, and what it reads from such a file it maps, so that the system keeps one
copy for all; https://github.com/microsoft/onnxruntime/pull/23069
"""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import onnxruntime  # type: ignore[import-untyped]  # it has none

_log = logging.getLogger(__name__)

_WEIGHTS = "model.weights"
# Smaller ones stay in the model's own file, bytes.
_FROM = "1024"


def packed(path: Path, folder: Path, load: Callable[[Path, onnxruntime.SessionOptions], object]) -> Path:
    """The model at ``path`` as it is kept in ``folder``; where there is none, it is put there first.

    ``path`` itself where that cannot be done: the model is served, if not shared. Only one process may come first.
    """
    import onnxruntime

    target = folder / "model.onnx"
    if target.exists() or not folder.exists():
        return target if target.exists() else path
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(target)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", _WEIGHTS)
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", _FROM)
    options.add_session_config_entry("session.save_external_prepacked_constant_initializers", "1")
    try:
        load(path, options)
    except Exception as error:  # what it raises is of many classes; whether the model is at fault shows right after
        _log.warning("the workers keep a copy of the weights each: %s could not be filled (%s)", folder, error)
        shutil.rmtree(folder, ignore_errors=True)
        return path
    return target
