"""What a Python model tells of itself in ``init_metadata``, in Seldon's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.proto.inference import dtypes
from penstock.serving.failures import BadMetadata

from .model import TensorSpec
from .returned import plain

if TYPE_CHECKING:
    from collections.abc import Iterable


def checked(told: Any, defaults: dict[str, Any]) -> dict[str, Any]:
    """``told`` over ``defaults``, in the form of ``SeldonModelMetadata``.

    Raises:
        BadMetadata: it does not have that form.
    """
    if not isinstance(told, dict):
        raise BadMetadata(f"init_metadata of the model returned a {type(told).__name__}, not a dict")
    # Imported for a model that tells some: a start should be short.
    from google.protobuf.json_format import ParseDict, ParseError

    from penstock.proto.prediction_pb2 import SeldonModelMetadata

    metadata = {**defaults, **plain(told)}
    try:
        ParseDict(metadata, SeldonModelMetadata(), ignore_unknown_fields=True)
    except ParseError as error:
        raise BadMetadata(f"init_metadata of the model is no Seldon metadata: {error}") from None
    return metadata


def tensors_of(described: Iterable[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    """The inputs or outputs that are described in the Open Inference form; Seldon's older form has no such."""
    return tuple(
        TensorSpec(one["name"], one["datatype"], tuple(int(size) for size in one.get("shape", ())))
        for one in described
        if one.get("name") and one.get("datatype") in dtypes()
    )
