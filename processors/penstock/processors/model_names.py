"""The names of the services that can be called, for the list behind *Model name*.

NiFi asks for a processor's properties, and so for this list, several times a minute and in the middle of other work:
the answer is what was heard last, and a question to the service is asked by a thread of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Final

from penstock.proto.errors import PenstockError, ServiceError

from .connections import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from .settings import Connection

_FRESH: Final = 4.0  # seconds; NiFi validates a stopped processor every 5
_PATIENCE: Final = 1.5  # seconds that a service gets for its answer
_FORGOTTEN: Final = 600.0  # seconds after which a connection that nobody asks about is dropped

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a service has said; ``names`` is None where it said nothing that can be used."""

    names: Names | None = None
    at: float = -_FORGOTTEN
    asked_for: float = 0.0
    asking: bool = False


class ModelLists:
    """What each service has last said about its models.

    Args:
        ask: gets the names from a service; a `PenstockError` where that fails.
    """

    def __init__(self, ask: Callable[[Connection], Names] | None = None) -> None:
        self._ask = ask or ask_service
        self._lock = Lock()
        self._heard: dict[Connection, _Heard] = {}

    def names(self, connection: Connection) -> Names | None:
        """What was heard last, None for nothing; what is no longer fresh is asked again behind the scenes."""
        now = monotonic()
        with self._lock:
            heard = self._heard.get(connection, _Heard())
            start = not heard.asking and now - heard.at > _FRESH
            self._heard[connection] = replace(heard, asked_for=now, asking=heard.asking or start)
            self._forget(now)
        if start:
            Thread(target=self._listen, args=(connection,), name="penstock-models", daemon=True).start()
        return heard.names

    def names_now(self, connection: Connection) -> Names | None:
        """As `names`, but waits for the first answer."""
        with self._lock:
            known = connection in self._heard and self._heard[connection].at > 0
        if not known:
            self._listen(connection)
        return self.names(connection)

    def _listen(self, connection: Connection) -> None:
        names: Names | None = None
        try:
            names = self._ask(connection)
        except PenstockError:
            pass  # nobody answers: any name may be right
        finally:
            with self._lock:
                asked_for = self._heard.get(connection, _Heard()).asked_for
                self._heard[connection] = _Heard(names, monotonic(), asked_for)

    def _forget(self, now: float) -> None:
        old = [each for each, heard in self._heard.items() if now - heard.asked_for > _FORGOTTEN and not heard.asking]
        for connection in old:
            del self._heard[connection]


def ask_service(connection: Connection) -> Names:
    """The names that the service, gateway or control plane at an address tells, sorted.

    Raises:
        PenstockError: nobody answers, or not with names.
    """
    with connect(replace(connection, deadline=_PATIENCE, retries=0)) as client:
        return tuple(sorted({model.name for model in client.models()}))


MODEL_LISTS: Final = ModelLists()


def check_answered(lists: ModelLists, connection: Connection, *, asked: str, answered: str) -> None:
    """Raise where another service has answered than the one that was asked.

    A graph of Seldon's names its units, not itself, so a foreign name alone proves nothing: it has to be the name of
    another service of that address.

    Raises:
        ServiceError: ``WRONG_MODEL``.
    """
    if not answered or answered == asked:
        return
    if answered in (lists.names_now(connection) or ()):
        raise ServiceError(
            f"asked was the model {asked!r:.80}, but {answered!r:.80} answered at {connection.address}; "
            "check Model name and Service address",
            code="WRONG_MODEL",
        )


class ModelChoice:
    """What one processor offers as *Model name*, between NiFi's validations.

    NiFi asks a Python processor for its property descriptors without telling the properties' values; only
    ``customValidate`` gets them, and only where every descriptor takes its value. A list that lacks the configured
    name would therefore never be asked for again. So a list is offered once after each validation, and only where it
    has the name that this validation saw; in between, the property takes any text, and the message about a wrong name
    comes from the validation.
    """

    def __init__(self, lists: ModelLists = MODEL_LISTS) -> None:
        self._lists = lists
        self._offer: Names | None = None

    def validated(self, connection: Connection, model: str | None) -> str | None:
        """Take note of what is configured; return what is wrong with the name, None for nothing."""
        names = self._lists.names(connection)
        self._offer = None
        if not model or model in (names or ()):
            self._offer = names
        if not model:
            return _unset(names)
        if names and model not in names and "${" not in model:
            return f"the service at {connection.address} does not know {model!r:.80}; there is {_shown(names)}"
        return None

    def offered(self) -> Names | None:
        """The names to choose from; None for any text."""
        offer, self._offer = self._offer, None
        return offer or None


def _unset(names: Names | None) -> str:
    return f"choose a model: {_shown(names)}" if names else "enter the name of the model"


def _shown(names: Names, most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
