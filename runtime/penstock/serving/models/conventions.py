"""Seldon's calling conventions: how each method of a model wants to be called is read from its signature, once.

Seldon tries one form and, on a TypeError, the next; so a TypeError inside the model runs it twice.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

from penstock.proto import ModelLoadError

if TYPE_CHECKING:
    from collections.abc import Callable

    Method = Callable[..., Any]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def offered(model: object, name: str) -> Method | None:
    """The method of that name; None where the model has none of its own.

    What it inherits from Seldon's own base class only raises "not implemented".
    """
    method = getattr(model, name, None)
    if not callable(method) or str(getattr(method, "__module__", "")).startswith("seldon_core."):
        return None
    if inspect.iscoroutinefunction(method):
        raise ModelLoadError(f"{name} of the model is async; it runs in a thread of its own, so write it as plain def")
    return cast("Method", method)


def adapted(method: Method, positional: int, optional: str | None = None) -> Method:
    """A function that always takes ``positional`` values and, last, the value of the parameter ``optional``.

    Raises:
        ModelLoadError: the method needs more than that, or takes none of it.
    """
    try:
        parameters = list(inspect.signature(method).parameters.values())
    except ValueError:  # a function written in C
        return lambda *values: method(*values[:positional])
    takes = _count(method, parameters, positional, optional)
    keyword = optional is not None and any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD
        or (parameter.name == optional and parameter.kind is not inspect.Parameter.POSITIONAL_ONLY)
        for parameter in parameters
    )
    if optional is not None and keyword:
        return lambda *values: method(*values[:takes], **{optional: values[positional]})
    return lambda *values: method(*values[:takes])


def _count(method: Method, parameters: list[inspect.Parameter], positional: int, optional: str | None) -> int:
    """How many of the positional values the method takes."""
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return positional
    plain = [p for p in parameters if p.kind in _POSITIONAL and p.name != optional]
    needed = [p.name for p in plain[positional:] if p.default is inspect.Parameter.empty]
    needed += [
        p.name
        for p in parameters
        if p.kind is inspect.Parameter.KEYWORD_ONLY and p.default is inspect.Parameter.empty and p.name != optional
    ]
    name = getattr(method, "__name__", "the method")
    if needed:
        raise ModelLoadError(f"{name} of the model has the parameter {needed[0]!r}, for which there is no value")
    if positional and not plain:
        raise ModelLoadError(f"{name} of the model takes no input; its first parameter gets it")
    return min(len(plain), positional)


def takes_optional(method: Method, name: str) -> bool:
    """Whether the method cannot be called without the parameter ``name``."""
    try:
        parameter = inspect.signature(method).parameters.get(name)
    except ValueError:
        return False
    return parameter is not None and parameter.default is inspect.Parameter.empty


def value_of(model: object, name: str) -> Any:
    """What ``model.name()`` returns, or the attribute itself; None where there is neither."""
    attribute = getattr(model, name, None)
    if not callable(attribute):
        return attribute
    method = offered(model, name)
    return None if method is None else method()
