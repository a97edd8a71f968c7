"""A Python value as the message to send."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.proto import Kind, Message, Meta, Payload, convert, payload_of
from penstock.proto.arrays import is_exact_in_float64, is_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.proto.payload import Json


def request_message(
    value: Any,
    *,
    kind: Kind | str | None,
    names: Sequence[str],
    puid: str,
    tags: Mapping[str, Json] | None,
    is_binary: bool,
) -> Message:
    """The message for ``value``: what it already says stays, unless the other arguments say otherwise."""
    if isinstance(value, Message):
        return _adapted(value, kind, names, puid, tags)
    if kind is None and is_binary and isinstance(value, np.ndarray):
        kind = exact_kind(value)
    payload = _named(payload_of(value, kind, names), names)
    if not puid and not tags:
        return Message(payload)
    return Message(payload, Meta(puid=puid, tags=dict(tags or {})))


def exact_kind(array: np.ndarray[Any, np.dtype[Any]]) -> Kind:
    """The kind that carries ``array`` over gRPC exactly, and that every server of Seldon's protocol can read.

    A tensor for numbers, as the doubles it is made of hold all but large 64-bit integers; an ndarray for text,
    booleans and mixed elements. A tftensor only for the rest: a Seldon server without TensorFlow refuses it.
    """
    if array.ndim and is_number(array.dtype) and is_exact_in_float64(array):
        return Kind.TENSOR
    return Kind.NDARRAY if array.dtype.kind in "bOSU" and array.ndim else Kind.TFTENSOR


def _adapted(
    message: Message, kind: Kind | str | None, names: Sequence[str], puid: str, tags: Mapping[str, Json] | None
) -> Message:
    payload, meta = message.payload, message.meta
    if payload is not None:
        payload = _named(payload if kind is None else convert(payload, kind), names)
    if puid or tags:
        meta = replace(meta, puid=puid or meta.puid, tags={**meta.tags, **(tags or {})})
    return replace(message, payload=payload, meta=meta)


def _named(payload: Payload, names: Sequence[str]) -> Payload:
    if not names or not payload.kind.is_array or payload.names == tuple(names):
        return payload
    return payload.renamed(tuple(names))
