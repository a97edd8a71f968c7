"""The end of a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.deploy.flows._asking import with_fresh_revision
from penstock.deploy.flows._contexts import contexts, delete_context
from penstock.deploy.flows._states import drop_queues, group, running, stop
from penstock.proto.errors import RequestError

if TYPE_CHECKING:
    from penstock.deploy.canvas import Connection
    from penstock.deploy.flows._found import Deployment


def delete(nifi: Connection, deployment: Deployment, *, drop_queued: bool) -> int:
    """Remove group, controller services and parameter contexts; gives how many FlowFiles were thrown away.

    Raises:
        RequestError: it runs, or FlowFiles are queued, and ``drop_queued`` is not set.
    """
    name = deployment.name
    active = running(nifi, deployment.group)
    if active and not drop_queued:
        raise _refused(f"'{name}' is running; stop it first: penstock flow stop")
    stop(nifi, deployment.group)
    queued = queued_in(nifi, deployment.group)
    if queued and not drop_queued:
        raise _refused(f"{queued} FlowFiles are queued in '{name}'; let them run through, or give --drop-queued")
    if queued:
        drop_queues(nifi, deployment.group)
    remove(nifi, deployment.group)
    for context in contexts(nifi):
        if context.name.startswith(f"{deployment.context.name}: "):
            delete_context(nifi, context.id)
    delete_context(nifi, deployment.context.id)
    return queued


def remove(nifi: Connection, identifier: str) -> None:
    """Remove a stopped group with all that is in it."""

    def change() -> None:
        revision = group(nifi, identifier)["revision"]["version"]
        nifi.delete(f"/process-groups/{identifier}", version=revision)

    with_fresh_revision(change)


def queued_in(nifi: Connection, identifier: str) -> int:
    """How many FlowFiles wait in a group and the groups inside."""
    return int(group(nifi, identifier)["status"]["aggregateSnapshot"]["flowFilesQueued"])


def _refused(message: str) -> RequestError:
    return RequestError(message, code="FLOW_IN_USE", http_status=409, grpc_status="FAILED_PRECONDITION")
