"""Requests in, replies out: read together, asked of each model together, replied to one by one."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from penstock.proto import ModelInputError, Payload, PenstockError
from penstock.streams.asking import Asker
from penstock.streams.calls import caller
from penstock.streams.forecast.windows import WINDOW, Shape, forecasts, payload, shape_of
from penstock.streams.patience import BackOff
from penstock.streams.reading import read_batch
from penstock.streams.spec import Sink, Stream
from penstock.streams.stacking import Group

from .replies import Reply, forecast, prediction, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from penstock.streams.calls import Caller
    from penstock.streams.patience import Patience
    from penstock.streams.reading import Readings

    from .metrics import MqttMetrics
    from .requests import Request
    from .settings import ServedModel, ServerSettings


@dataclass(frozen=True, slots=True)
class _Model:
    """One model, ready to be asked.

    Attributes:
        name: its key in a forecast reply.
        asker: asks it for many requests at once.
        shape: of a window, as the model takes it; empty where requests are no windows.
    """

    name: str
    asker: Asker
    shape: Shape


class _Part(NamedTuple):
    """What a model has answered to one request.

    Attributes:
        call: the call that the request took part in.
        value: the request's own part of the answer, or its forecast.
    """

    call: Group
    value: Payload | float


class Answerer:
    """Answers batches of requests; one bad request gets an error, and hurts nobody else."""

    def __init__(self, settings: ServerSettings, models: Sequence[_Model], metrics: MqttMetrics) -> None:
        self._settings = settings
        self._models = models
        self._metrics = metrics

    async def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """A reply for each request, in their order.

        Raises:
            Abandoned: the waiting for a service was ended; the requests are to be read again.
            PenstockError: the worker cannot go on; likewise.
        """
        values = [None if request.refusal else request.payload for request in requests]
        readings = read_batch(self._settings.source, values, keep_documents=False, most_rows=self._settings.batch.rows)
        errors: dict[int, PenstockError] = {place: each.refusal for place, each in enumerate(requests) if each.refusal}
        errors |= readings.errors
        if self._settings.reply is None:
            readings.groups = _windows(readings.groups, errors)
        parts = await asyncio.gather(*(self._ask(model, readings.groups, requests, errors) for model in self._models))
        replies = []
        for place, request in enumerate(requests):
            answered = [each[place] for each in parts] if place not in errors else []
            replies.append(self._reply(request, answered, readings, place, errors.get(place)))
        return replies

    async def _ask(
        self, model: _Model, groups: Sequence[Group], requests: Sequence[Request], errors: dict[int, PenstockError]
    ) -> dict[int, _Part]:
        puids = [request.puid.encode() for request in requests]
        traces = {place: request.trace for place, request in enumerate(requests) if request.trace is not None}
        asked = [_copy(group, model.shape) for group in groups]
        parts: dict[int, _Part] = {}
        for group in await model.asker.ask(asked, puids, traces) if asked else ():
            try:
                parts |= _parts(group, is_forecast=bool(model.shape))
            except PenstockError as error:
                errors |= dict.fromkeys(group.members, error)
        return parts

    def _reply(
        self, request: Request, parts: Sequence[_Part], readings: Readings, place: int, error: PenstockError | None
    ) -> Reply:
        settings = self._settings
        try:
            if error is not None:
                raise error
            calls = [part.call for part in parts]
            if settings.reply is None:
                names = [model.name for model in self._models]
                values = [part.value for part in parts if isinstance(part.value, float)]
                return forecast(request, dict(zip(names, values, strict=True)), calls, settings.id_field)
            value = parts[0].value
            if isinstance(value, float):
                raise TypeError("a forecast where a prediction was asked for")
            return prediction(request, value, settings.reply, calls[0], is_row=readings.is_row[place])
        except PenstockError as failed:
            self._metrics.error(failed.code)
            return refusal(request, failed, settings.id_field)


def _windows(groups: Sequence[Group], errors: dict[int, PenstockError]) -> list[Group]:
    """The same requests as windows, one each; those that are none go to ``errors``."""
    good: dict[int, list[float]] = {}
    for group in groups:
        for single in [group] if _are_windows(group) else group.singles():
            if _are_windows(single):
                rows = single.payload.array.reshape(-1, WINDOW).tolist()
                good |= zip(single.members, rows, strict=True)
            else:
                error = ModelInputError(f"a request is one window of {WINDOW} numbers, newest first")
                errors[single.members[0]] = error
    if not good:
        return []
    return [Group(list(good), payload(list(good.values()), (WINDOW,)), [1] * len(good))]


def _are_windows(group: Group) -> bool:
    if not group.payload.kind.is_array or group.payload.array.dtype.kind not in "fiu":
        return False
    width = prod(group.payload.array.shape[1:])
    return all(rows * width == WINDOW for rows in group.rows)


def _copy(group: Group, shape: Shape) -> Group:
    """A group of its own for each model, since the answer is put into it."""
    asked = group.payload
    if shape:
        asked = Payload(asked.kind, asked.array.reshape(-1, *shape))
    return Group(list(group.members), asked, list(group.rows))


def _parts(group: Group, *, is_forecast: bool) -> dict[int, _Part]:
    """What each request of a call gets.

    Raises:
        PenstockError: nothing but this error.
    """
    if group.answer is None:
        raise group.error or PenstockError("no outcome")
    answer = group.answer.payload
    if is_forecast:
        values = forecasts(answer, len(group.members))
        return {place: _Part(group, value) for place, value in zip(group.members, values, strict=True)}
    if len(group.members) == 1:
        return {group.members[0]: _Part(group, answer)}
    parts, start = {}, 0
    for place, rows in zip(group.members, group.rows, strict=True):
        parts[place] = _Part(group, Payload(answer.kind, answer.array[start : start + rows], answer.names))
        start += rows
    return parts


@asynccontextmanager
async def answerer(settings: ServerSettings, patience: Patience, metrics: MqttMetrics) -> AsyncIterator[Answerer]:
    """Load or reach each model, and let it go at the end.

    Raises:
        ModelLoadError: a model cannot be loaded. SetupError: it does not fit the form of the reply.
        Abandoned: the waiting for a service was ended.
    """
    async with AsyncExitStack() as opened:
        models = []
        for served in settings.models:
            asked = await opened.enter_async_context(caller(served.service))
            shape = await _shape(served, asked, patience) if settings.reply is None else ()
            stream = Stream(settings.id, settings.source, served.service, Sink("replies"), "", batch=settings.batch)
            models.append(_Model(served.name, Asker(stream, asked, patience, metrics.calls), shape))
        yield Answerer(settings, models, metrics)


async def _shape(served: ServedModel, asked: Caller, patience: Patience) -> Shape:
    back_off = BackOff(patience, served.service.address or served.name)
    while True:
        try:
            shape = await shape_of(asked.predict)
        except PenstockError as error:
            if not error.retryable:
                raise
            await back_off.wait(error.message)
        else:
            back_off.over()
            return shape
