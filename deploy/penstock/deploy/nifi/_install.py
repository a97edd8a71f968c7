"""Puts a NAR on a running NiFi, its own or the user's, through NiFi's NAR manager: no access to its disk, no restart.

0. Python processors that NiFi has from elsewhere, as the local one has from a folder, are left to that: NiFi does not
   take a processor of the same name and version from two places.
1. The NAR is uploaded; NiFi checks its coordinates and answers with an identifier.
2. NiFi installs it in the background; we ask until it is done, or has failed.
3. Python processors are discovered later still; it is done when all of them are on the canvas's list.
"""

from __future__ import annotations

import time
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from penstock.proto.errors import RequestError, ServiceError, SetupError

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.deploy.canvas import Connection

_UPLOAD = 600.0  # seconds; a NAR with its dependencies has tens of megabytes, and NiFi may be far away
_POLL = 0.5
_MANIFEST = "META-INF/MANIFEST.MF"
_PYTHON = ("org.apache.nifi", "python-extensions")  # the bundle of every Python processor, wherever it comes from


@dataclass(frozen=True, slots=True)
class Installed:
    """A NAR that NiFi has taken.

    Attributes:
        address: of the NiFi.
        nar: ``group:artifact:version``; ``org.apache.nifi:python-extensions:version`` where NiFi has all of it from
            elsewhere.
        processors: simple names of the processor types in it, sorted.
    """

    address: str
    nar: str
    processors: tuple[str, ...]


def install(connection: Connection, nar: Path, *, timeout: float = 120.0) -> Installed:
    """Upload a NAR and wait until its processors can be put on the canvas.

    The same NAR again, or a newer build of it, takes the place of the former one.

    Args:
        connection: to the NiFi.
        nar: the file.
        timeout: seconds from the end of the upload until its processors are offered.

    Raises:
        SetupError: the file is not a NAR; NiFi has no NAR manager (before 2.0), refuses the NAR or cannot install it.
        PenstockError: NiFi cannot be reached or wants another login.
        ServiceError: it takes too long.
    """
    manifest, expected = _read(nar)
    if not _is_uploaded(connection, manifest) and expected and expected <= _offered(connection, manifest):
        name = ":".join((*_PYTHON, manifest["Nar-Version"]))
        return Installed(connection.address, name, tuple(sorted(expected)))
    deadline = time.monotonic() + timeout
    summary = _upload(connection, nar)
    while _state(summary).startswith(("WAITING", "INSTALLING")):
        _pause(deadline, f"NiFi at {connection.address} has not installed {nar.name} after {timeout:g} s")
        summary = connection.get(f"/controller/nar-manager/nars/{summary['identifier']}")["narSummary"]
    if _state(summary) != "INSTALLED":
        why = summary.get("failureMessage") or "no reason given"
        raise SetupError(f"NiFi at {connection.address} cannot install {nar.name}: {why}", code="NAR_REFUSED")
    found = _types(connection, summary["identifier"])
    while not expected <= found:
        missing = ", ".join(sorted(expected - found))
        _pause(deadline, f"NiFi at {connection.address} does not offer {missing} {timeout:g} s after {nar.name} came")
        found = _types(connection, summary["identifier"])
    coordinate = summary["coordinate"]
    name = ":".join(coordinate[part] for part in ("group", "artifact", "version"))
    return Installed(connection.address, name, tuple(sorted(found)))


def _read(nar: Path) -> tuple[dict[str, str], set[str]]:
    """The manifest of a NAR, and the Python processors in it: each file at its root is one of that name."""
    try:
        with zipfile.ZipFile(nar) as archive:
            names = archive.namelist()
            text = archive.read(_MANIFEST).decode() if _MANIFEST in names else ""
    except (OSError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or "not a zip file"
        raise SetupError(f"cannot read {nar} as a NAR: {reason}", code="NAR_REFUSED") from error
    manifest = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    if not {"Nar-Group", "Nar-Id", "Nar-Version"} <= manifest.keys():
        raise SetupError(f"{nar} is not a NAR: its {_MANIFEST} does not name group, id and version", code="NAR_REFUSED")
    roots = (PurePosixPath(name) for name in names if "/" not in name)
    return manifest, {path.stem for path in roots if path.suffix == ".py" and not path.stem.startswith("_")}


def _is_uploaded(connection: Connection, manifest: dict[str, str]) -> bool:
    ours = {"group": manifest["Nar-Group"], "artifact": manifest["Nar-Id"], "version": manifest["Nar-Version"]}
    try:
        nars = connection.get("/controller/nar-manager/nars")["narSummaries"]
    except RequestError as error:
        if error.http_status != 404:
            raise
        raise SetupError(
            f"NiFi at {connection.address} takes no NARs over the network, as NiFi 2 does: "
            "copy the NAR into its extensions folder",
            code="NAR_REFUSED",
        ) from error
    return any(entry["narSummary"]["coordinate"] == ours for entry in nars)


def _offered(connection: Connection, manifest: dict[str, str]) -> set[str]:
    group, artifact = _PYTHON
    bundle = {"group": group, "artifact": artifact, "version": manifest["Nar-Version"]}
    types = connection.get("/flow/processor-types")["processorTypes"]
    return {entry["type"].rpartition(".")[2] for entry in types if entry["bundle"] == bundle}


def _upload(connection: Connection, nar: Path) -> dict[str, Any]:
    with connection.nipyapi() as nipyapi:
        api = nipyapi.nifi.ControllerApi(connection.client)
        answer = api.upload_nar(nar.read_bytes(), filename=nar.name, _request_timeout=_UPLOAD)
    identifier = answer.nar_summary.identifier
    return dict(connection.get(f"/controller/nar-manager/nars/{identifier}")["narSummary"])


def _state(summary: dict[str, Any]) -> str:
    # Not its ``installComplete``: that is true as well while a NAR is installed that takes the place of another.
    return str(summary["state"]).upper()


def _types(connection: Connection, identifier: str) -> set[str]:
    details = connection.get(f"/controller/nar-manager/nars/{identifier}/details")
    return {entry["type"].rpartition(".")[2] for entry in details.get("processorTypes") or ()}


def _pause(deadline: float, otherwise: str) -> None:
    if time.monotonic() > deadline:
        raise ServiceError(f"{otherwise}; its log tells more")
    time.sleep(_POLL)
