"""What is said when a service can be reached."""

from __future__ import annotations

from typing import NamedTuple


class About(NamedTuple):
    """The model that is served."""

    name: str
    version: str
    platform: str


class Reachable(NamedTuple):
    """A model, and where to ask it.

    Attributes:
        model: that is served.
        grpc_address: ``host:port``, as gRPC clients take it.
        http_address: ``http://host:port``, or ``https://`` with TLS.
    """

    model: About
    grpc_address: str
    http_address: str
