"""What a deployment was made of, kept with the flow itself: in a parameter of its own parameter context.

There it is saved with the flow, moves with it to another machine, and everybody who sees the canvas can see it.
Nothing refers to the parameter, so writing it disturbs no processor.
"""

from __future__ import annotations

import base64
import json
import lzma
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from penstock.deploy.flows._definition import RECORD, Definition
from penstock.deploy.flows._wanted import Values
from penstock.proto.errors import ServiceError

if TYPE_CHECKING:
    from penstock.deploy.flows._template import Template

_FORMAT: Final = "penstock 1 "
_CORRUPT: Final = (EOFError, ValueError, KeyError, TypeError, lzma.LZMAError)


@dataclass(frozen=True, slots=True)
class Record:
    """One deployment's origin.

    Attributes:
        group: id of its process group; a copy of the group on the canvas is not the deployment.
        template: name; empty for a flow without one.
        version: of the template.
        digest: of the template, SHA-256.
        values: what was set instead.
        wanted: the template with these values, as it was given to NiFi.
        deployed: what NiFi made of it; what differs from it now was changed on the canvas.
    """

    group: str
    template: str
    version: str
    digest: str
    values: Values
    wanted: Definition = field(repr=False)
    deployed: Definition = field(repr=False)

    @property
    def label(self) -> str:
        """The template for people: ``iris 0.1.0 (3f2a9c1b77d0)``."""
        return " ".join(part for part in (self.template, self.version, f"({self.digest[:12]})") if part)

    @property
    def flow(self) -> str:
        """The name of the flow in its template."""
        return str(self.wanted["flowContents"]["name"])


def record_of(group: str, template: Template, values: Values, wanted: Definition, deployed: Definition) -> Record:
    """The record of a deployment that was just made."""
    return Record(group, template.name, template.version, template.digest, values, wanted, deployed)


def to_parameter(record: Record) -> dict[str, Any]:
    """The parameter that holds it."""
    plain = {
        "group": record.group,
        "template": record.template,
        "version": record.version,
        "digest": record.digest,
        "values": record.values.to_plain(),
        "wanted": record.wanted,
        "deployed": record.deployed,
    }
    packed = lzma.compress(json.dumps(plain, sort_keys=True).encode())
    made = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    what = f"from the template {record.label}" if record.template else "without a template"
    return {
        "name": RECORD,
        "value": _FORMAT + base64.b64encode(packed).decode(),
        "sensitive": False,
        "description": f"Deployed by Penstock {what} on {made}. `penstock flow` compares the canvas with it; leave it.",
    }


def of_parameter(value: str) -> Record:
    """The other way round.

    Raises:
        ServiceError: somebody changed it, or a later version of Penstock wrote it.
    """
    if not value.startswith(_FORMAT):
        raise ServiceError(f"the parameter {RECORD} was changed by hand, or is from a later Penstock")
    try:
        plain = json.loads(lzma.decompress(base64.b64decode(value.removeprefix(_FORMAT), validate=True)))
        return Record(**{**plain, "values": Values.of_plain(plain["values"])})
    except _CORRUPT:
        raise ServiceError(f"the parameter {RECORD} was changed by hand") from None
