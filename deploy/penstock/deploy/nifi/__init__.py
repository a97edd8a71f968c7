"""Real Apache NiFi on this machine, with Penstock's processors on its canvas: no Docker, no Maven, no installer."""

from __future__ import annotations

from penstock.deploy.nifi._borrowed import nifi
from penstock.deploy.nifi._install import Installed, install
from penstock.deploy.nifi._server import DEFAULT_PORT, NiFi, NiFiStatus

__all__ = ["DEFAULT_PORT", "Installed", "NiFi", "NiFiStatus", "install", "nifi"]
