"""One change of a deployment at a time, also when two machines try.

The sign is a line under the comments of the process group, which everybody sees on the canvas. NiFi writes it only
for somebody who has seen the former one, so one of two wins; the other one waits.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import psutil

from penstock.deploy.flows._asking import is_outdated
from penstock.deploy.flows._definition import own_comments
from penstock.deploy.flows._states import group
from penstock.proto.errors import PenstockError, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.deploy.canvas import Connection

_WAIT: Final = 90.0  # seconds for the other one to finish
_FORGOTTEN: Final = timedelta(minutes=10)  # no change takes that long
_PAUSE: Final = 0.3  # seconds
_BUSY: Final = re.compile(
    r"being changed by (?P<host>\S+), process (?P<pid>\d+) \((?P<token>\w+)\), since (?P<since>[-\d: ]+) UTC"
)
_mine: Final[set[str]] = set()  # tokens of what this process changes now


@dataclass(slots=True)
class Hold:
    """The right to change a deployment.

    Attributes:
        sign: what the line under the comments says meanwhile.
        label: what it says afterwards; empty for no line.
    """

    sign: str
    label: str


@contextmanager
def held(nifi: Connection, identifier: str) -> Iterator[Hold]:
    """Hold a deployment as long as the block lasts.

    Raises:
        RequestError: somebody else has been changing it for longer than a minute and a half.
    """
    token = secrets.token_hex(4)
    sign = (
        f"being changed by {platform.node()}, process {os.getpid()} ({token}), "
        f"since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    )
    # Before the sign is there: another thread would take it for one that was left behind.
    _mine.add(token)
    try:
        label = _take(nifi, identifier, sign)
        hold = Hold(sign, label)
        try:
            yield hold
        finally:
            _release(nifi, identifier, hold.label)
    finally:
        _mine.discard(token)


def _take(nifi: Connection, identifier: str, sign: str) -> str:
    """Write the sign when nobody else's is there; gives what the line said before."""
    end = time.monotonic() + _WAIT
    while True:
        entity = group(nifi, identifier)
        busy = _busy(entity)
        if not busy and _wrote(nifi, entity, with_line(entity, sign)):
            return _label(entity)
        if busy and time.monotonic() > end:
            name = entity["component"]["name"]
            raise RequestError(f"'{name}' is {busy}; try again later", code="FLOW_BUSY", http_status=409)
        time.sleep(_PAUSE)


def with_line(entity: Any, label: str) -> str:
    """The group's own comments, and our line under them."""
    own = own_comments(entity["component"].get("comments") or "")
    line = f"Penstock: {label}" if label else ""
    return f"{own}\n\n{line}" if own and line else own or line


def _label(entity: Any) -> str:
    comments = entity["component"].get("comments") or ""
    line = comments.removeprefix(own_comments(comments)).strip().removeprefix("Penstock: ")
    return "" if _BUSY.search(line) else line


def _busy(entity: Any) -> str:
    found = _BUSY.search(entity["component"].get("comments") or "")
    if found is None:
        return ""
    since = datetime.strptime(found["since"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    here, pid = found["host"] == platform.node(), int(found["pid"])
    gone = here and (found["token"] not in _mine if pid == os.getpid() else not psutil.pid_exists(pid))
    return "" if gone or datetime.now(UTC) - since > _FORGOTTEN else found[0]


def _wrote(nifi: Connection, entity: Any, comments: str) -> bool:
    identifier = entity["id"]
    body = {"revision": entity["revision"], "component": {"id": identifier, "comments": comments}}
    try:
        nifi.put(f"/process-groups/{identifier}", body)
    except RequestError as error:
        if is_outdated(error):
            return False
        raise
    return True


def _release(nifi: Connection, identifier: str, label: str) -> None:
    """A NiFi that is gone cannot be told; the sign is then forgotten, for its process has ended."""
    for _ in range(20):
        try:
            entity = group(nifi, identifier)
            if _wrote(nifi, entity, with_line(entity, label)):
                return
        except PenstockError:
            return
        time.sleep(_PAUSE)
