"""Request and reply topics: one pair for each tenant, written out or with ``+`` in place of the tenant's name.

A tenant is one level of a topic, so that a broker's rules can keep tenants apart, as in mosquitto's
``pattern write inqueue/%u``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from penstock.proto import SetupError

_LONGEST = 65_535  # bytes; MQTT 5.0, 1.5.4


class Tenant(NamedTuple):
    """Whose request it is, as its topic tells.

    Attributes:
        name: the level that ``+`` stands for; the request topic where it is written out.
        replies: the tenant's reply topic.
    """

    name: str
    replies: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Where requests come from and where their replies go.

    Attributes:
        requests: topic, or pattern with ``+`` as one of its levels.
        replies: topic, or pattern with as many ``+`` as ``requests`` has.
    """

    requests: str
    replies: str

    def __post_init__(self) -> None:
        for topic in (self.requests, self.replies):
            _check(topic)
        if self.requests.count("+") != self.replies.count("+"):
            raise SetupError(f"{self.requests!r} and {self.replies!r}: both have + for the tenant, or neither has")
        if self.requests == self.replies:
            raise SetupError(f"requests and replies have the same topic, {self.requests!r}; they must differ")

    def tenant(self, topic: str) -> Tenant | None:
        """Whose request a topic is; None where it is not of this pair."""
        pattern, levels = self.requests.split("/"), topic.split("/")
        if len(pattern) != len(levels):
            return None
        if any(part not in ("+", level) for part, level in zip(pattern, levels, strict=True)):
            return None
        if "+" not in pattern:
            return Tenant(topic, self.replies)
        name = levels[pattern.index("+")]
        return Tenant(name, self.replies.replace("+", name))


def _check(topic: str) -> None:
    levels = topic.split("/")
    if not topic or len(topic.encode()) > _LONGEST or "\0" in topic:
        raise SetupError(f"{topic!r:.60} is no topic: 1 to {_LONGEST:,} bytes")
    if topic.startswith("$"):
        raise SetupError(f"{topic!r} begins with $, which belongs to the broker")
    if "#" in topic or levels.count("+") > 1 or any("+" in level and level != "+" for level in levels):
        raise SetupError(f"{topic!r}: one whole level may be + (the tenant); other wildcards are not for a pair")


def may_reply_to(tenant: Tenant, topic: str) -> bool:
    """Whether a client may ask for its reply at this topic: the tenant's own, or one below it.

    The worker may write to every tenant, so a request that names the topic of another one must not be obeyed.
    """
    return topic == tenant.replies or (topic.startswith(f"{tenant.replies}/") and "+" not in topic and "#" not in topic)
