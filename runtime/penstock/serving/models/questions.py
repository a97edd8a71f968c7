"""A Seldon payload as the named arrays that a tensor model takes.

An array, or text or bytes that hold one, is a table: it is the one input, or its columns are shared out among the
inputs, by name where the columns have the inputs' names, else by width in order. A JSON object names its inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.proto import Kind, ModelInputError, PayloadError, convert
from penstock.proto.arrays import array_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.proto import Limits, Payload
    from penstock.proto.payload import Array

    from .inputs import Input


def arrays_of(payload: Payload, inputs: Sequence[Input], limits: Limits) -> dict[str, Array]:
    """The arrays by input name; their shapes are not checked yet.

    Raises:
        ModelInputError: the columns cannot be shared out. PayloadError: text, bytes or JSON that hold no array.
    """
    if payload.kind is Kind.JSON_DATA and isinstance(payload.value, dict):
        return {name: _from_json(name, value, limits) for name, value in payload.value.items()}
    if payload.kind is Kind.STR_DATA and _takes_text(inputs):
        return {inputs[0].spec.name: _one_text(payload.value, inputs[0])}
    if not payload.kind.is_array:
        payload = convert(payload, Kind.NDARRAY, limits=limits)
    if len(inputs) == 1:
        return {inputs[0].spec.name: payload.value}
    return _columns(payload.value, payload.names, inputs)


def _from_json(name: str, value: Any, limits: Limits) -> Array:
    try:
        return array_of(value, limits) if isinstance(value, list) else np.asarray(value)
    except PayloadError as error:
        raise type(error)(f"input {name!r:.80}: {error.message}", code=error.code) from None


def _takes_text(inputs: Sequence[Input]) -> bool:
    return len(inputs) == 1 and inputs[0].dtype.kind == "O"


def _one_text(text: str, one: Input) -> Array:
    """StrData for a model of text is the text itself, not JSON in it."""
    array = np.empty((1,) * max(1, len(one.spec.shape)), object)
    array.reshape(-1)[0] = text
    return array


def _columns(table: Array, names: tuple[str, ...], inputs: Sequence[Input]) -> dict[str, Array]:
    wanted = [one.spec.name for one in inputs]
    if any(one.width is None for one in inputs):
        raise ModelInputError(
            f"the model's inputs {', '.join(wanted)} are not columns of one table; "
            "send jsonData with one array for each, or use the Open Inference Protocol"
        )
    if table.ndim != 2:
        raise ModelInputError(f"the model takes a table of rows and columns, and {list(table.shape)} came")
    if set(names) & set(wanted):
        return _by_name(table, names, inputs)
    total = sum(one.width or 0 for one in inputs)
    if table.shape[1] != total:
        parts = ", ".join(f"{one.spec.name} ({one.width})" for one in inputs)
        raise ModelInputError(f"the model takes {total} columns, {parts}, and {table.shape[1]} came")
    return _by_width(table, inputs)


def _by_name(table: Array, names: tuple[str, ...], inputs: Sequence[Input]) -> dict[str, Array]:
    if len(names) != table.shape[1]:
        raise ModelInputError(f"there are {len(names)} names for {table.shape[1]} columns")
    arrays = {}
    for one in inputs:
        name = one.spec.name
        if name not in names:
            wanted = ", ".join(other.spec.name for other in inputs)
            raise ModelInputError(f"no column is named {name!r}; the model takes {wanted}")
        # An input of several columns has its name over each of them.
        columns = [index for index, column in enumerate(names) if column == name]
        arrays[name] = _shaped(table[:, columns], one)
    unknown = [name for name in names if name not in arrays]
    if unknown:
        raise ModelInputError(f"the model has no input for the column {unknown[0]!r:.80}")
    return arrays


def _by_width(table: Array, inputs: Sequence[Input]) -> dict[str, Array]:
    arrays, at = {}, 0
    for one in inputs:
        width = one.width or 0
        arrays[one.spec.name] = _shaped(table[:, at : at + width], one)
        at += width
    return arrays


def _shaped(columns: Array, one: Input) -> Array:
    return columns[:, 0] if len(one.spec.shape) == 1 else columns
