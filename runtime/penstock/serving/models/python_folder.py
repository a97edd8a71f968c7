"""A folder with the source of a Python model: which module has the class, and how it is imported.

A model's code is written as if it were alone: it imports the modules beside it by their plain names, and reads the
files beside it by relative paths. So its folder comes first on ``sys.path`` and is the working directory while it
loads; and since a second model may have modules of the same names, those of another model's folder are forgotten
before (that model keeps the ones it has imported).
"""

from __future__ import annotations

import ast
import sys
from contextlib import chdir
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from penstock.proto import ModelLoadError

if TYPE_CHECKING:
    from types import ModuleType

CLASS = "SeldonWrapper"

_numbers = count(1)
_folders: set[Path] = set()
_loading = Lock()


def find_module(folder: Path) -> Path | None:
    """The file that defines the class: ``SeldonWrapper.py``, or the only one that does; None where none does.

    Raises:
        ModelLoadError: several do.
    """
    named = folder / f"{CLASS}.py"
    if named.is_file():
        return named
    found = [path for path in sorted(folder.glob("*.py")) if _defines_class(path)]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ModelLoadError(f"several files of {folder} define a class {CLASS}: {names}; one must")
    return found[0] if found else None


def _defines_class(path: Path) -> bool:
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return False
    return any(isinstance(node, ast.ClassDef) and node.name == CLASS for node in tree.body)


def make(folder: Path) -> Any:
    """An instance of the folder's class, with its ``load`` called where it has one.

    Raises:
        ModelLoadError: there is no such class, or its code raised; the cause is chained.
    """
    folder = folder.resolve()
    path = find_module(folder)
    if path is None:
        raise ModelLoadError(f"the folder {folder} has no Python file that defines a class {CLASS}")
    with _loading, chdir(folder):
        _make_way(folder)
        try:
            model = getattr(_imported(path), CLASS)()
            if callable(load := getattr(model, "load", None)):
                load()
        except BaseException as error:  # sys.exit() in a model's code included
            what = f"{type(error).__name__}: {error}"
            raise ModelLoadError(f"{path.name} of {folder} cannot be loaded: {what}") from error
    return model


def _make_way(folder: Path) -> None:
    others = _folders - {folder}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and not name.startswith("penstock_model_") and others & set(Path(file).parents):
            del sys.modules[name]
    _folders.add(folder)
    sys.path[:] = [str(folder), *(entry for entry in sys.path if entry != str(folder))]


def _imported(path: Path) -> ModuleType:
    """The module, as part of a package of its own, so that ``from . import …`` works as well."""
    package = f"penstock_model_{next(_numbers)}"
    _package(package, path.parent)
    spec = spec_from_file_location(f"{package}.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ModelLoadError(f"{path} is no Python source")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _package(name: str, folder: Path) -> None:
    init = folder / "__init__.py"
    spec = spec_from_file_location(name, init, submodule_search_locations=[str(folder)])
    if spec is None:
        raise ModelLoadError(f"{folder} is no place for Python source")
    module = module_from_spec(spec)
    sys.modules[name] = module
    if init.is_file() and spec.loader is not None:
        spec.loader.exec_module(module)
