"""The demo with NiFi: NiFi itself, a service of the image model, an SFTP server with images, and the flow."""

from __future__ import annotations

import base64
import os
import secrets
import time
from typing import TYPE_CHECKING

from penstock.deploy.canvas import connect
from penstock.deploy.flows import Flows
from penstock.deploy.folders import data_folder
from penstock.deploy.nifi import DEFAULT_PORT, NiFi
from penstock.deploy.ports import free_port

from . import programs, sftp
from .pictures import Picture, lay_out_model
from .running import Ports, Stack

if TYPE_CHECKING:
    from rich.console import Console

    from penstock.deploy.canvas import Connection

FLOW = "Image recognition"
_TEMPLATE = "image-recognition"
_AN_HOUR = 3600.0


class NiFiStack(Stack):
    """A NiFi of the demo's own, which leaves the user's alone."""

    server: NiFi

    def __init__(self, console: Console) -> None:
        folder = data_folder("demo-nifi")
        super().__init__(folder, NiFi(folder / "nifi", console=console))
        self.model = folder / "digits"
        self.images = folder / "images"
        self.canvas = ""
        self._sftp_port = 0
        self._password = secrets.token_urlsafe(24)

    @property
    def connection(self) -> Connection:
        """To NiFi's REST API."""
        return connect(self.server.address)

    def start_nifi(self, port: int | None) -> str:
        """Bring up NiFi, and return its version."""
        return self.server.up(programs.choose_port(port, DEFAULT_PORT, "NiFi")).version

    def make_pictures(self, count: int) -> list[Picture]:
        """Train the model, and write pictures that it has not seen; the first is for GenerateFlowFile, not a file."""
        pictures = lay_out_model(self.model, count)
        self.images.mkdir()
        before = time.time() - _AN_HOUR  # ListSFTP holds back what has changed just now: it may still be written
        for picture in pictures[1:]:
            path = self.images / picture.name
            path.write_bytes(picture.png)
            os.utime(path, (before, before))
        return pictures

    def start_service(self, ports: Ports) -> None:
        """Serve the image model."""
        self.serve(self.model, ports)

    def start_sftp(self) -> str:
        """Serve the images, and return the address."""
        self._sftp_port = free_port()
        arguments = ["penstock.cli.demo.sftp", str(self.images), str(self._sftp_port)]
        server = self.start("SFTP server", self.images, arguments, {sftp.PASSWORD: self._password})
        server.wait_for(lambda: "ready" in server.log.read_text(errors="replace"))
        return f"127.0.0.1:{self._sftp_port}"

    def start_flow(self, first: Picture) -> None:
        """Put the template on the canvas, set its parameters, and start it."""
        parameters = {
            "model-name": "digits",
            "service-address": self.grpc,
            "image-base64": base64.b64encode(first.png).decode(),
            "sftp-port": str(self._sftp_port),
            "sftp-user": sftp.USER,
        }
        flows = Flows(self.connection)
        flows.create(FLOW, _TEMPLATE, parameters=parameters, secrets={"sftp-password": self._password}, start=True)
        self.canvas = flows.address_of(FLOW)
