"""A message as a request: whose it is, what makes it the same as another one, and where its reply goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

from penstock.proto import LimitError, PayloadError
from penstock.proto.jsontext import loads
from penstock.proto.trace_context import TRACEPARENT, TRACESTATE, read_trace
from penstock.streams.headers import PUID

from .topics import may_reply_to

if TYPE_CHECKING:
    from penstock.proto.trace_context import Trace

    from .book import Key
    from .link import Arrival
    from .properties import About
    from .settings import ServerSettings
    from .topics import Tenant


@dataclass(slots=True, eq=False)
class Request:
    """One request in hand.

    Attributes:
        tenant: whose it is.
        payload: its bytes.
        reply_to: topic of the reply.
        key: what makes it the same as another one.
        identity: its own id out of the JSON; None where it has none.
        puid: of the prediction.
        trace: that it belongs to, told by its user properties ``traceparent`` and ``tracestate``; None for none.
        arrivals: each time it has come; all are acknowledged together.
        refusal: why it is not even looked at; None where it is.
        since: when it came, on the clock of `time.monotonic`.
        expires: when nobody wants the reply any more, on the same clock; None for never.
    """

    tenant: Tenant
    payload: bytes
    reply_to: str
    key: Key
    identity: str | int | None
    puid: str
    trace: Trace | None
    arrivals: list[Arrival]
    refusal: PayloadError | None = None
    since: float = field(default_factory=monotonic)
    expires: float | None = None

    @property
    def correlation(self) -> bytes:
        """What the client knows the reply by."""
        return self.arrivals[0].about.correlation

    @property
    def is_known_again(self) -> bool:
        """Whether the request says what it is: by itself, or because the broker tells that it sends it again."""
        return bool(self.correlation) or self.identity is not None or self.arrivals[0].is_dup


def read_request(settings: ServerSettings, tenant: Tenant, arrival: Arrival) -> Request:
    """What a message asks for; what is wrong with it is in `Request.refusal`, so that it is answered all the same."""
    about = arrival.about
    refusal: PayloadError | None = None
    identity: str | int | None = None
    reply_to = tenant.replies
    try:
        _check_size(settings, arrival.payload)
        identity = _identity(settings, arrival.payload)
        reply_to = _reply_to(tenant, about.response_topic)
    except PayloadError as error:
        refusal = error
    user = {name.lower(): value for name, value in about.user}
    name = about.correlation or identity
    # Correlation data alone is not enough: every client may count from 1.
    digest = blake2b(arrival.payload, digest_size=16).digest()
    key = (reply_to, name, digest) if name is not None else (reply_to, arrival.number, digest, "")
    return Request(
        tenant,
        arrival.payload,
        reply_to,
        key,
        identity,
        user.get(PUID) or user.get("seldon-puid") or uuid4().hex,
        read_trace(_told(about, TRACEPARENT), _told(about, TRACESTATE)),
        [arrival],
        refusal,
        expires=None if about.expiry is None else monotonic() + about.expiry,
    )


def _told(about: About, wanted: str) -> list[bytes]:
    return [value.encode() for name, value in about.user if name.lower() == wanted]


def _check_size(settings: ServerSettings, payload: bytes) -> None:
    if len(payload) > settings.max_bytes:
        raise LimitError(f"the request has {len(payload):,} bytes; allowed are {settings.max_bytes:,}")


def _identity(settings: ServerSettings, payload: bytes) -> str | int | None:
    if not settings.id_field:
        return None
    document = loads(payload)
    identity = document.get(settings.id_field) if isinstance(document, dict) else None
    if identity is not None and not isinstance(identity, str | int):
        raise PayloadError(f"{settings.id_field} is a text or a whole number", code="BAD_ID")
    return identity


def _reply_to(tenant: Tenant, wanted: str) -> str:
    if not wanted:
        return tenant.replies
    if not may_reply_to(tenant, wanted):
        raise PayloadError(
            f"the response topic must be {tenant.replies} or below it, not {wanted!r:.200}", code="REPLY_TOPIC"
        )
    return wanted
