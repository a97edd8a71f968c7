"""Parameter contexts: each deployment has one of its own, which holds its record, too.

Its name is also what keeps two people from making the same deployment twice: NiFi takes each name once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.deploy.flows._asking import background, with_fresh_revision
from penstock.deploy.flows._definition import RECORD
from penstock.deploy.flows._record import Record, of_parameter
from penstock.proto.errors import RequestError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.deploy.canvas import Connection


@dataclass(frozen=True, slots=True)
class Context:
    """A parameter context on a NiFi.

    Attributes:
        id: NiFi's.
        name: of the context.
        parameters: by name, as NiFi has them; the value of a secret is stars, or not there.
        groups: the process groups that use it, their names by id.
    """

    id: str
    name: str
    parameters: dict[str, dict[str, Any]]
    groups: dict[str, str]

    def record(self) -> Record | None:
        """What Penstock noted here; None where it did not make the context.

        Raises:
            ServiceError: it cannot be read.
        """
        value = self.parameters.get(RECORD, {}).get("value")
        if value is None:
            return None
        try:
            return of_parameter(value)
        except ServiceError as error:
            raise ServiceError(f"parameter context '{self.name}': {error.message}") from None

    def unset_secrets(self) -> frozenset[str]:
        """Sensitive parameters without a value."""
        return frozenset(
            name for name, each in self.parameters.items() if each.get("sensitive") and each.get("value") is None
        )


def contexts(nifi: Connection) -> list[Context]:
    """All parameter contexts that the login may read."""
    entities = nifi.get("/flow/parameter-contexts")["parameterContexts"]
    return [_context(entity) for entity in entities if entity.get("component")]


def context(nifi: Connection, identifier: str) -> Context:
    """One of them."""
    return _context(nifi.get(f"/parameter-contexts/{identifier}"))


def create_context(nifi: Connection, name: str) -> str:
    """An empty parameter context; gives its id.

    Raises:
        RequestError: NiFi has one of that name.
    """
    body = {"revision": {"version": 0}, "component": {"name": name, "parameters": []}}
    return str(nifi.post("/parameter-contexts", body)["id"])


def set_parameters(nifi: Connection, identifier: str, parameters: Iterable[Mapping[str, Any]]) -> None:
    """Add and change parameters; NiFi stops and starts the processors that use one of them.

    Args:
        nifi: the NiFi.
        identifier: of the context.
        parameters: each with name, value, sensitive; one with a name only is removed.

    Raises:
        RequestError: NiFi refuses.
    """
    wanted = [{"parameter": dict(each)} for each in parameters]
    if not wanted:
        return

    def change() -> None:
        entity = nifi.get(f"/parameter-contexts/{identifier}")
        body = {
            "revision": entity["revision"],
            "id": identifier,
            "component": {"id": identifier, "name": entity["component"]["name"], "parameters": wanted},
        }
        path = f"/parameter-contexts/{identifier}/update-requests"
        background(nifi, path, body, doing=f"the parameters of '{entity['component']['name']}'")

    with_fresh_revision(change)


def delete_context(nifi: Connection, identifier: str) -> None:
    """Remove it; nothing happens when it is gone, or a group that is not ours uses it."""
    try:
        entity = nifi.get(f"/parameter-contexts/{identifier}")
        if not entity["component"].get("boundProcessGroups"):
            nifi.delete(f"/parameter-contexts/{identifier}", version=entity["revision"]["version"])
    except RequestError as error:
        if error.http_status != 404:
            raise


def _context(entity: Mapping[str, Any]) -> Context:
    component = entity["component"]
    own = (each["parameter"] for each in component.get("parameters") or [])
    bound = component.get("boundProcessGroups") or []
    return Context(
        id=entity["id"],
        name=component["name"],
        parameters={each["name"]: each for each in own if not each.get("inherited")},
        groups={each["id"]: (each.get("component") or {}).get("name", "") for each in bound},
    )
