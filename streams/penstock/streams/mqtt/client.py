"""Asks a service over MQTT: requests out, replies in, each with the request that it belongs to.

With MQTT 5 a request has correlation data, which its reply has again. MQTT 3.1.1 has no place for such a thing: there
the identity is a key of the request's JSON (``id_field``), or, without one, a client asks for one thing at a time.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from penstock.proto import DeadlineExceeded, PayloadError, PenstockError, SetupError
from penstock.streams.headers import PUID
from penstock.streams.patience import BackOff, Patience

from .link import ERRORS, Link, LinkLost
from .properties import About

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from types import TracebackType

    from .link import Arrival
    from .settings import ClientSettings

_AHEAD: Final = 2  # replies and their doubles, for each request that waits
_V5: Final = 5


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for a request.

    Attributes:
        topic: where it came.
        payload: its bytes.
        error: code of the error that it tells of; empty where it is a result.
        message: of that error.
        puid: of the prediction; empty with MQTT 3.1.1.
        seconds: from the first try to the reply.
        attempts: tries it took.
    """

    topic: str
    payload: bytes
    error: str
    message: str
    puid: str
    seconds: float
    attempts: int


class Client:
    """One connection of one tenant, for the length of ``async with``; any number of requests at a time.

    Args:
        settings: of the client. At the broker each connection has a client id of its own, made from the settings'.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._identifier = f"{settings.id}-{uuid4().hex[:12]}"
        self._is_5 = settings.broker.protocol == _V5
        self._room = asyncio.Semaphore(settings.concurrency if self._knows_replies else 1)
        self._patience = Patience()
        self._waiting: dict[str, asyncio.Future[Arrival]] = {}
        self._link: Link | None = None
        self._linked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failed: SetupError | None = None

    @property
    def _knows_replies(self) -> bool:
        return self._is_5 or bool(self._settings.id_field)

    async def __aenter__(self) -> Client:
        """Connect.

        Raises:
            SetupError: the broker does not let us in, or is not there within ``start_timeout``.
        """
        self._task = asyncio.create_task(self._stay_connected())
        linked = asyncio.create_task(self._linked.wait())
        timeout = self._settings.broker.start_timeout
        await asyncio.wait({self._task, linked}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        linked.cancel()
        if not self._linked.is_set():
            await self.__aexit__(None, None, None)
            where = f"{self._settings.broker.host}:{self._settings.broker.port}"
            raise self._failed or SetupError(f"no broker at {where} after {timeout:g} s", code="BROKER_AWAY")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect; what still waits for a reply gets none."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def ask(self, payload: bytes, puid: str = "") -> Reply:
        """Ask once, or several times where no reply comes in time.

        Each try is a request of its own, because the service answers what it takes for the same request only once.

        Args:
            payload: the request, as the service reads it.
            puid: of the prediction; made here by default.

        Raises:
            DeadlineExceeded: no try was answered in time. SetupError: the broker does not allow it.
            PayloadError: the request has no place for its identity.
        """
        puid = puid or uuid4().hex
        attempts = self._settings.attempts if self._knows_replies else 1
        async with self._room:
            started = perf_counter()
            tries: list[asyncio.Future[Arrival]] = []
            names: list[str] = []
            try:
                for attempt in range(1, attempts + 1):
                    names.append(uuid4().hex if self._knows_replies else "")
                    tries.append(asyncio.get_running_loop().create_future())
                    self._waiting[names[-1]] = tries[-1]
                    await self._send(names[-1], payload, puid)
                    done, _ = await asyncio.wait(
                        tries, timeout=self._settings.deadline, return_when=asyncio.FIRST_COMPLETED
                    )
                    if done:
                        return _reply(done.pop().result(), perf_counter() - started, attempt)
            finally:
                for name, future in zip(names, tries, strict=True):
                    self._waiting.pop(name, None)
                    future.cancel()
        raise DeadlineExceeded(
            f"no reply at {self._settings.pair.replies} to {attempts} tries of {self._settings.deadline:g} s"
        )

    async def ask_all(self, requests: Iterable[bytes]) -> AsyncIterator[Reply | PenstockError]:
        """Ask for each, many at a time; what came back, or why nothing did, in the order of the requests.

        Args:
            requests: taken as the replies come, in a thread, so that they may be as slow and as many as they like.

        Raises:
            SetupError: the broker does not allow it.
        """
        tasks: deque[asyncio.Task[Reply]] = deque()
        source = iter(requests)
        try:
            while True:
                payload = await asyncio.to_thread(next, source, None)
                if payload is not None:
                    tasks.append(asyncio.create_task(self.ask(payload)))
                while tasks and (payload is None or tasks[0].done() or len(tasks) >= self._settings.concurrency):
                    yield await _outcome(tasks.popleft())
                if payload is None:
                    return
        finally:
            for task in tasks:
                task.cancel()

    async def _send(self, name: str, payload: bytes, puid: str) -> None:
        if self._settings.id_field:
            payload = _named(payload, self._settings.id_field, name)
        about = About(
            response_topic=self._settings.pair.replies,
            correlation=name.encode(),
            expiry=math.ceil(self._settings.deadline * self._settings.attempts),
            user=((PUID, puid),),
        )
        self._check()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.deadline):
                await self._linked.wait()
        self._check()
        if self._link is not None:
            self._link.publish(self._settings.pair.requests, payload, about, done=self._told)

    def _check(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _told(self, code: int) -> None:
        if code >= ERRORS:
            topic = self._settings.pair.requests
            self._end(SetupError(f"the broker does not let us ask at {topic} (reason code {code})", code="NOT_ALLOWED"))

    def _end(self, error: SetupError) -> None:
        self._failed = error
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
                future.exception()  # looked at: several tries of one request get it, and one of them raises it

    async def _stay_connected(self) -> None:
        broker = self._settings.broker
        back_off = BackOff(self._patience, f"{broker.host}:{broker.port}")
        in_flight = max(_AHEAD * self._settings.concurrency, 16)
        # As long as somebody waits for a reply; MQTT 3.1.1 would keep the session for good.
        expiry = math.ceil(self._settings.deadline * self._settings.attempts) if self._is_5 else 0
        while True:
            try:
                async with Link(broker, self._identifier, in_flight=in_flight, session_expiry=expiry) as link:
                    await link.subscribe([self._settings.pair.replies])
                    back_off.over()
                    self._link = link
                    self._linked.set()
                    await self._listen(link)
            except LinkLost as error:
                self._link = None
                self._linked.clear()
                await back_off.wait(error.message)
            except SetupError as error:
                self._end(error)
                self._linked.clear()
                return

    async def _listen(self, link: Link) -> None:
        while True:
            for arrival in await link.arrived(1000):
                arrival.acknowledge()
                future = self._waiting.get(self._name(arrival))
                if future is not None and not future.done():
                    future.set_result(arrival)

    def _name(self, arrival: Arrival) -> str:
        if self._is_5:
            return arrival.about.correlation.decode(errors="replace")
        if not self._settings.id_field:
            return ""
        document = _document(arrival.payload)
        return str(document.get(self._settings.id_field, "")) if isinstance(document, dict) else ""


async def _outcome(task: asyncio.Task[Reply]) -> Reply | PenstockError:
    try:
        return await task
    except (DeadlineExceeded, PayloadError) as error:
        return error


def _reply(arrival: Arrival, seconds: float, attempts: int) -> Reply:
    document = _document(arrival.payload) if b'"error"' in arrival.payload else None
    error = document.get("error") if isinstance(document, dict) else None
    code = str(error.get("code", "")) if isinstance(error, dict) else ""
    message = str(error.get("message", "")) if isinstance(error, dict) else ""
    puid = dict(arrival.about.user).get(PUID, "")
    return Reply(arrival.topic, arrival.payload, code, message, puid, seconds, attempts)


def _document(payload: bytes) -> Any:
    with suppress(ValueError):
        return json.loads(payload)
    return None


def _named(payload: bytes, key: str, name: str) -> bytes:
    document = _document(payload)
    if not isinstance(document, dict):
        raise PayloadError("a request with an id_field is a JSON object", code="NO_PLACE")
    return json.dumps({**document, key: name}).encode()
