"""What a person or a monitor looks at: the metrics, the OpenAPI document, and that document as a page."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from penstock.proto.jsontext import dumps
from penstock.serving import exposition

from .exchange import HTML, TEXT, Door, Response, Route
from .seldon_rest import failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.serving.service import Service

    from .exchange import Request

_GET = ("GET",)
# The page has its style and its script in it, and speaks to this server only.
_POLICY = (
    b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    b"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def pages_door(service: Service, doors: Sequence[Door]) -> Door:
    """The routes beside the protocols; they describe ``doors`` and themselves."""

    # Made when asked for: few services ever are, and a start should be short.
    @cache
    def described() -> bytes:
        from .openapi import document

        return dumps(document(service, [*doors, door]))

    @cache
    def page() -> bytes:
        from importlib.resources import files

        return files(__package__).joinpath("page.html").read_bytes()

    async def metrics(_request: Request) -> Response:
        return Response(await service.exposition(), content_type=exposition.CONTENT_TYPE)

    async def openapi(_request: Request) -> Response:
        return Response(described())

    async def documentation(_request: Request) -> Response:
        return Response(page(), content_type=HTML, headers=((b"content-security-policy", _POLICY),))

    async def redirect(_request: Request) -> Response:
        return Response(b"", 308, TEXT, headers=((b"location", b"doc/"),))

    routes = [
        Route(_GET, "/metrics", "metrics", metrics),
        Route(_GET, "/seldon.json", "openapi", openapi),
        Route(_GET, "/api/v1.0/doc/", "documentation", documentation),
        Route(_GET, "/api/v1.0/doc", "documentation", redirect),
    ]
    door = Door("pages", routes, failure)
    return door
