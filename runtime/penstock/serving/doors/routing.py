"""Finds the route of a request: exact paths in one dictionary look-up, then the few that have variable parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from penstock.proto import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .exchange import Door, Route


class Match(NamedTuple):
    """A route, the door it belongs to, and the variable parts of the path."""

    door: Door
    route: Route
    arguments: tuple[str, ...] = ()


class Router:
    """All routes of all doors."""

    def __init__(self, doors: Iterable[Door]) -> None:
        self._exact: dict[str, dict[str, Match]] = {}
        self._patterns: dict[tuple[str, ...], dict[str, Match]] = {}
        for door in doors:
            for route in door.routes:
                self._add(door, route)

    def _add(self, door: Door, route: Route) -> None:
        if "{" in route.path:
            segments = ("*" if part.startswith("{") else part for part in route.path.split("/"))
            methods = self._patterns.setdefault(tuple(segments), {})
        else:
            methods = self._exact.setdefault(route.path, {})
        for method in route.methods:
            if method in methods:
                raise ValueError(f"two routes for {method} {route.path}")
            methods[method] = Match(door, route)

    def find(self, method: str, path: str, raw_path: str) -> Match:
        """The route of a request.

        Raises:
            RequestError: 404, or 405 where the path is known for other methods.
        """
        methods, arguments = self._methods(path, raw_path)
        match = methods.get("GET" if method == "HEAD" else method)
        if match is None:
            raise RequestError(
                f"{path!r:.200} takes {', '.join(methods)}, not {method}",
                code="METHOD_NOT_ALLOWED",
                http_status=405,
                grpc_status="UNIMPLEMENTED",
            )
        return match._replace(arguments=arguments) if arguments else match

    def methods(self, path: str, raw_path: str) -> tuple[str, ...]:
        """The methods that a path takes; RequestError 404 where there are none."""
        return tuple(self._methods(path, raw_path)[0])

    def _methods(self, path: str, raw_path: str) -> tuple[dict[str, Match], tuple[str, ...]]:
        exact = self._exact.get(path)
        if exact is not None:
            return exact, ()
        # The raw path, so that a slash in a model's name (%2F) does not end its segment.
        segments = raw_path.split("/")
        for pattern, methods in self._patterns.items():
            if _fits(pattern, segments):
                return methods, tuple(
                    unquote(segment) for part, segment in zip(pattern, segments, strict=True) if part == "*"
                )
        raise RequestError(
            f"there is nothing at {unquote(raw_path)!r:.200}; /seldon.json lists what there is",
            code="NOT_FOUND",
            http_status=404,
            grpc_status="UNIMPLEMENTED",
        )


def _fits(pattern: Sequence[str], segments: Sequence[str]) -> bool:
    return len(pattern) == len(segments) and all(
        part == segment or (part == "*" and segment) for part, segment in zip(pattern, segments, strict=True)
    )
