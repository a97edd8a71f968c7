"""The demo with MQTT: a broker and a worker, each a process of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.deploy.folders import data_folder

from . import programs
from .running import Stack

if TYPE_CHECKING:
    from penstock.streams.mqtt import ClientSettings

MODEL = "DENSE"
_ID = "id"  # where a request says which it is, with a broker that has no other place for it


class _Nothing:
    """There is no server but programs."""

    def process(self) -> None:
        """Nothing runs."""

    def down(self) -> None:
        """There is nothing to stop."""


class MqttStack(Stack):
    """A broker and a worker that answers all stations."""

    def __init__(self) -> None:
        folder = data_folder("demo-mqtt")
        super().__init__(folder, _Nothing())
        self.model = folder / "dense.onnx"
        self.settings = folder / "server.json"
        self.port = 0
        self._broker: dict[str, object] = {}
        self._is_plain = False

    def start_broker(self, port: int | None) -> str:
        """Bring up mosquitto, or amqtt where it is not there; what the broker says of itself."""
        self.port = programs.choose_port(port, 1883, "MQTT")
        broker = self.start(
            "broker", Path(str(self.port)), ["penstock.cli", "mqtt", "broker", "--port", str(self.port)]
        )
        broker.wait_for(lambda: "Ctrl-C" in broker.log.read_text(errors="replace"))
        said = broker.log.read_text(errors="replace").partition(";")[0]
        self._is_plain = said.startswith("amqtt")  # MQTT 3.1.1: no shared subscriptions, no correlation data
        self._broker = {"port": self.port, "protocol": "3.1.1" if self._is_plain else "5"}
        return said

    def start_worker(self) -> None:
        """Let a worker answer the stations."""
        settings = {
            "client_info": {"id": "forecasts"},
            "broker_service": self._broker,
            "queue_info": {"requests": "stations/+/readings", "replies": "stations/+/forecasts"},
            "model": {"name": MODEL, "path": str(self.model)},
            "shared": not self._is_plain,
            "request": {"id": _ID} if self._is_plain else {},
        }
        self.settings.write_text(json.dumps(settings, indent=2))
        worker = self.start("worker", self.settings, ["penstock.cli", "mqtt", "serve", str(self.settings)])
        worker.wait_for(lambda: "ready" in worker.log.read_text(errors="replace"))

    def client(self, station: str) -> ClientSettings:
        """How a station asks; its file is written as a user would write it."""
        from penstock.streams.mqtt import load_client

        file = self.folder / f"{station}.json"
        settings = {
            "client_info": {"id": station},
            "broker_service": self._broker,
            "queue_info": {"requests": f"stations/{station}/readings", "replies": f"stations/{station}/forecasts"},
            "id_field": _ID if self._is_plain else "",
            "concurrency": 128,
        }
        file.write_text(json.dumps(settings, indent=2))
        return load_client(file)
