"""Which process groups of a NiFi are deployments of ours."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.deploy.flows._contexts import Context, contexts
from penstock.proto.errors import RequestError, ServiceError

if TYPE_CHECKING:
    from penstock.deploy.canvas import Connection
    from penstock.deploy.flows._record import Record


@dataclass(frozen=True, slots=True)
class Deployment:
    """A process group that Penstock made.

    Attributes:
        group: its id.
        name: what it is called on the canvas now.
        context: its parameter context.
        record: what it was made of.
    """

    group: str
    name: str
    context: Context
    record: Record


def deployments(nifi: Connection) -> list[Deployment]:
    """All of them, by name; one whose record was damaged is none."""
    found = []
    for context in contexts(nifi):
        with suppress(ServiceError):
            record = context.record()
            if record is not None and record.group in context.groups:
                found.append(Deployment(record.group, context.groups[record.group], context, record))
    return sorted(found, key=lambda each: each.name)


def find(nifi: Connection, name: str) -> Deployment:
    """The deployment of that name, or with that id of its group.

    Raises:
        RequestError: there is none, or more than one.
    """
    everything = deployments(nifi)
    found = [each for each in everything if name in (each.name, each.group)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(each.group for each in found)
        raise _error(f"{len(found)} deployments are called '{name}'; give the id of one: {ids}", 409)
    former = next((each for each in everything if each.context.name == name), None)
    if former is not None:
        raise _error(f"the deployment '{name}' is called '{former.name}' on the canvas now", 404)
    for context in contexts(nifi):
        if context.name == name:
            context.record()  # says what is wrong with it
    names = ", ".join(f"'{each.name}'" for each in everything) or "none"
    raise _error(f"no deployment '{name}' on NiFi at {nifi.address}; there are: {names}", 404)


def _error(message: str, status: int) -> RequestError:
    grpc = "NOT_FOUND" if status == 404 else "FAILED_PRECONDITION"
    code = "FLOW_UNKNOWN" if status == 404 else "FLOW_AMBIGUOUS"
    return RequestError(message, code=code, http_status=status, grpc_status=grpc)
