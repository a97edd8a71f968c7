"""Finds out what kind of model a path holds, and loads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.proto import ModelLoadError, SetupError

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.serving.settings import Settings

    from .model import Model

_KINDS = "an .onnx or .tflite file, or a folder with one or with a Python class SeldonWrapper"


def load(settings: Settings) -> Model:
    """The model at ``settings.model``, ready to run.

    Raises:
        ModelLoadError: there is none, or it cannot be loaded; says what was looked for.
        SetupError: it needs a package that is not installed.
    """
    path = settings.model
    if path.is_dir():
        return _load_folder(path, settings)
    if not path.exists():
        raise ModelLoadError(f"there is nothing at {path}; a model is {_KINDS}")
    return _load_file(path, settings)


def _load_folder(folder: Path, settings: Settings) -> Model:
    from .python_folder import find_module

    if find_module(folder) is not None:
        from .wrapper import PythonModel

        return PythonModel(folder, settings)
    found = sorted(file for file in folder.iterdir() if file.suffix in (".onnx", ".tflite"))
    if len(found) == 1:
        return _load_file(found[0], settings)
    what = f"{len(found)} model files" if found else "neither"
    raise ModelLoadError(f"the folder {folder} holds {what}; a model is {_KINDS}")


def _load_file(path: Path, settings: Settings) -> Model:
    match path.suffix:
        case ".onnx":
            return _load_onnx(path, settings)
        case ".tflite":
            return _load_tflite(path, settings)
    raise ModelLoadError(f"{path.name} is no model that is known here; a model is {_KINDS}")


def _load_onnx(path: Path, settings: Settings) -> Model:
    try:
        from .onnx import OnnxModel
    except ModuleNotFoundError as error:
        raise ModelLoadError(f"ONNX models need {error.name}; install penstock[serving]") from error
    return OnnxModel(path, settings)


def _load_tflite(path: Path, settings: Settings) -> Model:
    try:
        from .tflite import TfliteModel
    except ModuleNotFoundError as error:
        raise SetupError(f"TFLite models need {error.name}; install penstock[tflite]", code="NOT_INSTALLED") from None
    return TfliteModel(path, settings)
