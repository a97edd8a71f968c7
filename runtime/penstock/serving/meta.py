"""What travels beside the payload of a reply, by Seldon's rules: tags, metrics, the path taken, the puid."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.proto import Message, Meta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .models import Answer


def of_reply(meta: Meta, answer: Answer) -> Meta:
    """The request's meta with what the model adds: its tags win, its metrics come last."""
    if not (answer.tags or answer.metrics or answer.routing):
        return meta
    return Meta(
        meta.puid,
        {**meta.tags, **answer.tags},
        {**meta.routing, **answer.routing},
        meta.request_path,
        meta.metrics + answer.metrics,
    )


def of_raw(message: Message, meta: Meta) -> Message:
    """A reply that a raw method wrote by itself: taken as it is, but never without a puid."""
    if message.meta.puid:
        return message
    return replace(message, meta=replace(message.meta, puid=meta.puid))


def merged(metas: Sequence[Meta]) -> Meta:
    """One meta of many, the later winning; the puid is the first one's."""
    tags: dict[str, Any] = {}
    path: dict[str, str] = {}
    for meta in metas:
        tags |= meta.tags
        path |= meta.request_path
    metrics = tuple(metric for meta in metas for metric in meta.metrics)
    return Meta(metas[0].puid, tags, {}, path, metrics)
