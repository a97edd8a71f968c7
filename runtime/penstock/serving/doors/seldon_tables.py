"""The short way of Seldon's ``/predict`` over REST: a table of numbers in, a table of numbers out.

It answers what the handler of the route would (`seldon_rest`), in far fewer steps: there is no coroutine, there are
no message objects, and the JSON of all answers of a run is written at once. What is no such request is left to the
handler.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

from penstock.proto import PenstockError
from penstock.proto.jsontable import read_table

from .exchange import JSON, Response
from .failures import told

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.proto import Kind
    from penstock.serving.models import Answer
    from penstock.serving.service import Service
    from penstock.serving.settings import Settings

    from .exchange import Short

DOOR: Final = "seldon-rest"
PUID: Final = b"seldon-puid"
# What nginx counts a request as whose caller did not wait.
GAVE_UP: Final = "499"
_CALL: Final = "predict"


def short_way(service: Service, settings: Settings, failure: Callable[[PenstockError], Response]) -> Short | None:
    """What answers tables; None where the model has no short way for them."""
    if service.model.tables is None:
        return None
    limits = settings.limits

    def short(body: bytes, tell: Callable[[Response], None]) -> TableCall | None:
        table = read_table(body, limits)
        if table is None:
            return None
        call = TableCall(service, table.kind, table.puid, tell, failure)
        try:
            service.ask_table(table.numbers, call)
        except PenstockError:
            return None  # worded by the handler
        return call

    return short


class TableCall:
    """One request that the model is asked for; a `penstock.serving.batcher.Asker`."""

    __slots__ = ("_failure", "_is_done", "_kind", "_puid", "_service", "_started", "_tell")

    def __init__(
        self,
        service: Service,
        kind: Kind,
        puid: str,
        tell: Callable[[Response], None],
        failure: Callable[[PenstockError], Response],
    ) -> None:
        self._service = service
        self._kind = kind
        self._puid = puid
        self._tell = tell
        self._failure = failure
        self._is_done = False
        self._started = perf_counter()

    def done(self) -> bool:
        """Whether it is answered, or nobody waits any more."""
        return self._is_done

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._is_done = True
        self._count(GAVE_UP)

    def set_result(self, answer: Answer) -> None:
        """The model's answer."""
        try:
            puid, body = self._service.table_reply(answer, self._kind, self._puid)
        except Exception as error:
            self.set_exception(error)
            return
        self._is_done = True
        self._count("200")
        self._tell(Response(body, 200, JSON, ((PUID, puid.encode()),)))

    def set_exception(self, error: Exception) -> None:
        """The model, or the wait for it, failed."""
        self._is_done = True
        response = self._failure(told(error))
        self._count(str(response.status))
        self._tell(response)

    def _count(self, status: str) -> None:
        self._service.metrics.request(DOOR, _CALL, status, perf_counter() - self._started)
