"""What a worker has in hand and what it has answered, so that a request that comes twice is answered once."""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .requests import Request

_MOST_TENANTS: Final = 1_000  # whose answered requests are remembered; the one that was quiet longest is forgotten
_REMEMBER: Final = 3_600.0  # seconds; a client that counts its correlation data from 1 again is not taken for its past

Key = tuple[object, ...]


class Book:
    """Requests by their identity.

    Args:
        most: answered requests that are known again, for each tenant.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._in_hand: dict[Key, Request] = {}
        self._answered: OrderedDict[str, OrderedDict[Key, float]] = OrderedDict()

    def in_hand(self, key: Key) -> Request | None:
        """The same request, where it is being answered."""
        return self._in_hand.get(key)

    def is_answered(self, tenant: str, key: Key) -> bool:
        """Whether the same request was answered in the last hour."""
        memory = self._answered.get(tenant)
        at = memory.get(key) if memory else None
        return at is not None and monotonic() - at < _REMEMBER

    def take(self, request: Request) -> None:
        """Write down that it is in hand."""
        self._in_hand[request.key] = request

    def answered(self, request: Request) -> None:
        """Write down that its reply is with the broker."""
        self.dropped(request)
        tenant = request.tenant.name
        memory = self._answered.setdefault(tenant, OrderedDict())
        self._answered.move_to_end(tenant)
        memory[request.key] = monotonic()
        memory.move_to_end(request.key)
        if len(memory) > self._most:
            memory.popitem(last=False)
        if len(self._answered) > _MOST_TENANTS:
            self._answered.popitem(last=False)

    def dropped(self, request: Request) -> None:
        """Write down that it is no longer in hand."""
        if self._in_hand.get(request.key) is request:
            del self._in_hand[request.key]
