"""Seldon's REST API: its routes, the forms of its requests, and its error envelope."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from penstock.proto import (
    Message,
    feedback_from_json,
    message_from_json,
    message_list_from_json,
    read_json_message,
    write_json_message,
)
from penstock.proto.jsontext import dumps

from .exchange import HTML, JSON, Door, Response, Route
from .failures import info
from .seldon_bodies import json_of
from .seldon_tables import DOOR, PUID, short_way

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.proto import Limits, PenstockError
    from penstock.proto.payload import Json
    from penstock.serving.service import Service
    from penstock.serving.settings import Settings

    from .exchange import Handler, Request

_GET, _POST, _BOTH = ("GET",), ("POST",), ("POST", "GET")
# Where a service can be: by itself, behind Seldon's ingress or behind a gateway that puts names before the path
# (here any name will do); each with the path of its predictions there.
_PLACES = {
    "/api/v1.0": "/predictions",
    "/api/v0.1": "/predictions",
    "/seldon/{namespace}/{name}/api/v1.0": "/predictions",
    "/seldon/{namespace}/{name}/api/v0.1": "/predictions",
    "/model-endpoints/{name}": "",
}


def seldon_door(service: Service, settings: Settings) -> Door:
    """The routes of Seldon's wrapper and of the gateways that stand before it."""
    calls = _Calls(service, settings.limits)
    short = short_way(service, settings, _plain_failure)
    transform_input = calls.on_message(service.transform_input)
    transform_output = calls.on_message(service.transform_output)
    routes = [
        route
        for prefix, predictions in _PLACES.items()
        for route in (
            Route(_POST, f"{prefix}{predictions}", "predict", calls.predict, short),
            Route(_POST, f"{prefix}/feedback", "feedback", calls.feedback),
            Route(_GET, f"{prefix}/health/status", "health", calls.health),
            Route(_GET, f"{prefix}/metadata", "metadata", calls.metadata),
        )
    ]
    routes += [
        Route(_BOTH, "/predict", "predict", calls.predict, short),
        Route(_BOTH, "/send-feedback", "feedback", calls.feedback),
        Route(_BOTH, "/transform-input", "transform_input", transform_input),
        Route(_BOTH, "/transform-output", "transform_output", transform_output),
        Route(_BOTH, "/route", "route", calls.on_message(service.route)),
        Route(_BOTH, "/aggregate", "aggregate", calls.aggregate),
        Route(_GET, "/health/ping", "ping", calls.ping),
        Route(_GET, "/health/status", "health", calls.health),
        Route(_GET, "/metadata", "metadata", calls.metadata),
    ]
    return Door(DOOR, routes, failure)


class _Calls:
    """What the routes do."""

    def __init__(self, service: Service, limits: Limits) -> None:
        self._service = service
        self._limits = limits

    async def predict(self, request: Request) -> Response:
        puid = _puid(request) if PUID in request.headers else ""
        return _answer(await self._service.predict(self._message(request), puid=puid))

    async def feedback(self, request: Request) -> Response:
        feedback = feedback_from_json(json_of(request, self._limits), self._limits)
        return _answer(await self._service.feedback(feedback))

    async def aggregate(self, request: Request) -> Response:
        messages = message_list_from_json(json_of(request, self._limits), self._limits)
        return _answer(await self._service.aggregate(messages))

    def on_message(self, method: Callable[[Message], Awaitable[Message]]) -> Handler:
        """A handler for a method of the service from one message to one message."""

        async def handler(request: Request) -> Response:
            return _answer(await method(_with_puid(self._message(request), request)))

        return handler

    async def ping(self, _request: Request) -> Response:
        return Response(b"pong", content_type=HTML)

    async def health(self, _request: Request) -> Response:
        return _answer(await self._service.health())

    async def metadata(self, _request: Request) -> Response:
        return Response(dumps(self._service.metadata()))

    def _message(self, request: Request) -> Message:
        # The plain case first: nothing to look for, the body is the message.
        if request.headers.get(b"content-type") == JSON and request.body and not request.query:
            return read_json_message(request.body, self._limits)
        return message_from_json(json_of(request, self._limits), self._limits)


def _puid(request: Request) -> str:
    return request.headers.get(PUID, b"").decode("latin-1")


def _with_puid(message: Message, request: Request) -> Message:
    puid = _puid(request)
    if message.meta.puid or not puid:
        return message
    return replace(message, meta=replace(message.meta, puid=puid))


def _answer(message: Message) -> Response:
    return Response(write_json_message(message), 200, JSON, _puid_header(message.meta.puid))


def _puid_header(puid: str) -> tuple[tuple[bytes, bytes], ...]:
    # Only what a header can hold: a puid out of a body may have line ends in it.
    return ((PUID, puid.encode()),) if puid.isascii() and puid.isprintable() and puid else ()


def failure(error: PenstockError, request: Request) -> Response:
    """Seldon's error envelope; the real status is the HTTP status."""
    return _envelope(error, _puid_header(_puid(request)))


def _plain_failure(error: PenstockError) -> Response:
    return _envelope(error, ())


def _envelope(error: PenstockError, headers: tuple[tuple[bytes, bytes], ...]) -> Response:
    body: dict[str, Json] = {
        "status": {"code": -1, "info": info(error), "reason": error.seldon_reason, "status": 1}  # a failure
    }
    return Response(dumps(body), error.http_status, headers=headers)
