"""A Python value as the message to send."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.proto import Kind, Message, Meta, Payload, convert, payload_of

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
    """The kind that carries ``array`` over gRPC with its dtype, at the least cost.

    float64 is what a tensor is made of; other numbers go as they are into a tftensor; text and mixed elements
    only fit an ndarray.
    """
    if array.dtype.kind in "OU":
        return Kind.NDARRAY
    return Kind.TENSOR if array.dtype == np.float64 and array.ndim else Kind.TFTENSOR


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
