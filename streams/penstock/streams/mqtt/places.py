"""Who of the workers is there, as their retained statuses tell, and whose requests need somebody to stand in.

A broker deals the requests of a shared subscription to all sessions in turn, whether their workers are there or not
(mosquitto does), so what a worker leaves behind waits for it. Another worker looks after that: `Worker` stands in for
those that `Places.away` names.

The same statuses tell a worker that somebody else has its name. A broker gives the session to whoever comes last;
without a look at the status, two would take it from each other for ever.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import uuid4

from .link import TakenOver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .link import Arrival


class State(StrEnum):
    """What a status says of a worker.

    Attributes:
        ONLINE: it is there.
        OFFLINE: it has stopped.
        LOST: its connection broke; the broker says so for it (its last will).
        IN_CARE: another worker answers what waits for it.
    """

    ONLINE = "online"
    OFFLINE = "offline"
    LOST = "lost"
    IN_CARE = "in care"


class Places:
    """The statuses of all workers of a service.

    Args:
        topic: under which each has its own.
        name: of this worker.
        models: their names, for whoever reads the status.
    """

    def __init__(self, topic: str, name: str, models: Sequence[str]) -> None:
        self._prefix = f"{topic}/"
        self._name = name
        self._models = list(models)
        self._instance = uuid4().hex
        self._states: dict[str, str] = {}

    @property
    def all(self) -> str:
        """The topic filter for all statuses."""
        return f"{self._prefix}+"

    def topic(self, name: str = "") -> str:
        """The status topic of a worker; by default of this one."""
        return self._prefix + (name or self._name)

    def status(self, state: State) -> bytes:
        """What this worker says of itself, or of one that it looks after."""
        return json.dumps({"state": state, "models": self._models, "instance": self._instance}).encode()

    def is_status(self, arrival: Arrival) -> bool:
        """Whether a message is a status rather than a request."""
        return arrival.topic.startswith(self._prefix)

    def heard(self, arrival: Arrival) -> None:
        """Write a status down."""
        self._states[arrival.topic.removeprefix(self._prefix)] = _told(arrival.payload)[0]

    def check_own(self, arrival: Arrival) -> None:
        """Look at our own status as it was before we came back.

        Raises:
            TakenOver: another worker has come under our name meanwhile.
        """
        state, instance = _told(arrival.payload)
        if arrival.topic == self.topic() and state == State.ONLINE and instance != self._instance:
            raise TakenOver(f"another worker is there under the name {self._name!r}; each needs one of its own")

    def away(self) -> list[str]:
        """Other workers that are not there, and that nobody looks after."""
        lost = (State.LOST, State.OFFLINE)
        return [name for name, state in self._states.items() if state in lost and name != self._name]


def _told(payload: bytes) -> tuple[str, str]:
    try:
        status = json.loads(payload)
        return str(status["state"]), str(status.get("instance", ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        return "", ""  # cleared, or somebody else's
