"""One connection to a broker: aiomqtt, and the parts of paho under it that aiomqtt does not hand on.

Those are acknowledging by hand, the DUP flag, reason codes of acknowledgements, and whether the broker still knew the
session. All of that reaching into aiomqtt is here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiomqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from penstock.proto import ServiceError, SetupError

from .opening import MOST_IN_FLIGHT, V5, new_client
from .properties import About, Packed, about

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from .opening import Will
    from .settings import BrokerService

ERRORS: Final = 128
"""Reason codes from here on are errors (MQTT 5.0, 2.4)."""
NOBODY_LISTENS: Final = 16
"""Reason code of a publication that is well, and reaches nobody."""

_WAIT_FOR_BROKER = 5.0
_IN_FLIGHT_BEFORE_5 = 20  # nobody says how many an MQTT 3.1.1 broker takes; this is paho's and mosquitto's own
_TAKEN_OVER = 142
# Protocol or client id refused, bad user name or password, not authorized, banned: no retry will help.
_REFUSED = frozenset({134, 135, 138, 140, 132, 133})
_DO_NOT_SEND_RETAINED = 2


class LinkLost(ServiceError):  # noqa: N818  (as the error tree names what is away)
    """The connection is gone or could not be made; another try may help."""

    code = "BROKER_AWAY"


class TakenOver(SetupError):  # noqa: N818  (likewise)
    """Another client with the same id has connected."""

    code = "SESSION_TAKEN"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that has come.

    Attributes:
        link: how it came, and the only way to acknowledge it.
        number: by which it is acknowledged.
        topic: where it was published.
        payload: its bytes.
        about: see `About`.
        qos: 0 needs no acknowledgement.
        is_dup: whether the broker has sent it before, to this session.
        is_retained: whether it was there before the subscription.
    """

    link: Link
    number: int
    topic: str
    payload: bytes
    about: About
    qos: int
    is_dup: bool
    is_retained: bool

    def acknowledge(self) -> None:
        """Tell the broker that it need not send this again."""
        self.link.acknowledge(self)


@dataclass(slots=True)
class _State:
    arrived: deque[Arrival] = field(default_factory=deque)
    waiting: dict[int, Callable[[int], None]] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    lost: Exception | None = None


class Link:
    """A connection for the length of ``async with``.

    Args:
        broker: where to.
        identifier: client id, which names the session.
        in_flight: messages that may be unacknowledged on our side (MQTT 5; a 3.1.1 broker has its own limit).
        session_expiry: seconds that the broker keeps the session while we are away; 0 for not at all. An MQTT 3.1.1
            broker decides itself how long.
        will: see `opening.Will`.

    Attributes:
        had_session: whether the broker still knew the session, with all that was not acknowledged.
    """

    def __init__(
        self, broker: BrokerService, identifier: str, *, in_flight: int, session_expiry: int, will: Will | None = None
    ) -> None:
        self._is_5 = broker.protocol == V5
        self._where = f"{broker.host}:{broker.port}"
        self._state = _State()
        self.had_session = False
        self._client = new_client(broker, identifier, in_flight=in_flight, session_expiry=session_expiry, will=will)
        self._paho: Any = self._client._client
        self._paho.manual_ack_set(on=True)
        self._tell_connected: Any = self._paho.on_connect
        self._tell_disconnected: Any = self._paho.on_disconnect
        self._paho.on_connect = self._on_connect
        self._paho.on_disconnect = self._on_disconnect
        self._paho.on_message = self._on_message
        self._paho.on_publish = self._on_publish
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Link:
        """Connect.

        Raises:
            SetupError: the broker does not let us in. LinkLost: it is not there.
        """
        try:
            await self._client.__aenter__()
        except aiomqtt.MqttError as error:
            self._paho._sock_close()  # which aiomqtt leaves open where the broker did not let us in
            raise self._failed(error) from None
        self._watch = asyncio.create_task(self._until_lost())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect; the broker does not publish the will then."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        with suppress(aiomqtt.MqttError):  # it was gone before
            await self._client.__aexit__(kind, error, trace)

    async def subscribe(self, topics: Sequence[str], *, retained: bool = False) -> None:
        """Listen at topics with QoS 1.

        Args:
            topics: or filters.
            retained: whether what is retained there is wanted; an MQTT 3.1.1 broker sends it in any case.

        Raises:
            SetupError: the broker does not allow one of them. LinkLost: the connection is gone.
        """
        handling = 0 if retained else _DO_NOT_SEND_RETAINED
        options = SubscribeOptions(qos=1, retainAsPublished=False, retainHandling=handling)
        for topic in topics:
            try:
                codes = await (
                    self._client.subscribe(topic, options=options) if self._is_5 else self._client.subscribe(topic, 1)
                )
            except aiomqtt.MqttError as error:
                raise self._failed(error) from None
            for code in codes:
                value = code if isinstance(code, int) else code.value
                if value >= ERRORS:
                    raise SetupError(f"{self._where} does not let us listen at {topic}: {code}", code="NOT_ALLOWED")

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        """Get nothing new from there.

        Raises:
            LinkLost: the connection is gone.
        """
        try:
            await self._client.unsubscribe(list(topics))
        except aiomqtt.MqttError as error:
            raise self._failed(error) from None

    async def arrived(self, most: int) -> list[Arrival]:
        """What has come; waits for the first.

        Raises:
            LinkLost: the connection is gone. TakenOver: another client has our id.
        """
        state = self._state
        while not state.arrived:
            if state.lost is not None:
                raise self._failed(state.lost)
            state.news.clear()
            await state.news.wait()
        return [state.arrived.popleft() for _ in range(min(most, len(state.arrived)))]

    def publish(
        self,
        topic: str,
        payload: bytes,
        about: About | None = None,
        *,
        done: Callable[[int], None] | None = None,
        retain: bool = False,
    ) -> None:
        """Publish with QoS 1.

        Args:
            topic: where.
            payload: what.
            about: what goes beside it, where the protocol can.
            done: told the reason code once the broker has it: below 128 is well, 16 is that nobody listens. It is
                never told where the connection is lost before.
            retain: whether the broker keeps it for those who come later.
        """
        properties = Packed(about) if self._is_5 and about else None
        info = self._paho.publish(topic, payload, 1, retain, properties)
        if done is not None:
            self._state.waiting[info.mid] = done

    async def published(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish, and wait until the broker has it, the connection is lost, or the time is over."""
        if self._state.lost is not None:
            return
        told = asyncio.Event()
        self.publish(topic, payload, done=lambda _: told.set(), retain=retain)
        with suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_FOR_BROKER):
                await told.wait()

    def acknowledge(self, arrival: Arrival) -> None:
        """See `Arrival.acknowledge`; on a connection that is gone it does nothing, and the message comes again."""
        if arrival.qos and self._state.lost is None:
            self._paho.ack(arrival.number, arrival.qos)

    async def _until_lost(self) -> None:
        try:
            async for _ in self._client.messages:  # none: they go to `_on_message`
                continue
        except aiomqtt.MqttError as error:
            self._state.lost = error
            self._state.news.set()

    def _on_connect(self, client: Any, data: Any, flags: Any, code: Any, properties: Any = None) -> None:
        self.had_session = bool(flags.session_present)
        most = MOST_IN_FLIGHT if self._is_5 else _IN_FLIGHT_BEFORE_5
        # paho has its setter for the time before; how many the broker takes is known only now.
        client._max_inflight_messages = getattr(properties, "ReceiveMaximum", None) or most
        self._tell_connected(client, data, flags, code, properties)

    def _on_disconnect(self, client: Any, data: Any, flags: Any, code: Any, properties: Any = None) -> None:
        connected = self._client._connected
        if connected.done():
            self._tell_disconnected(client, data, flags, code, properties)
        else:  # aiomqtt would wait for its whole time-out
            connected.set_exception(aiomqtt.MqttCodeError(code))

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        arrival = Arrival(
            self,
            message.mid,
            message.topic,
            message.payload,
            about(message.properties) if self._is_5 else About(),
            message.qos,
            is_dup=message.dup,
            is_retained=message.retain,
        )
        self._state.arrived.append(arrival)
        self._state.news.set()

    def _on_publish(self, _client: Any, _data: Any, number: int, code: Any, _properties: Any) -> None:
        if done := self._state.waiting.pop(number, None):
            done(code.value)

    def _failed(self, error: Exception) -> SetupError | LinkLost:
        cause = error if isinstance(error, aiomqtt.MqttCodeError) else error.__cause__
        code = getattr(getattr(cause, "rc", None), "value", None)
        if code == _TAKEN_OVER:
            return TakenOver(f"another client has connected to {self._where} with our id; each needs one of its own")
        if code in _REFUSED:
            return SetupError(f"the broker at {self._where} refuses us: {getattr(cause, 'rc', '')}", code="REFUSED")
        return LinkLost(f"no connection to {self._where}: {cause or error}")
