"""The demo with Kafka: a broker, a service, a stream; each a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.deploy.folders import data_folder
from penstock.deploy.kafka import DEFAULT_PORT, Broker

from . import programs
from .running import Ports, Stack
from .traffic import SINK, SOURCE

if TYPE_CHECKING:
    from rich.console import Console

_SPEC = """\
name = "digits"

[source]
topic = "{source}"
format = "ndarray"

[service]
address = "grpc://{grpc}"

[sink]
topic = "{sink}"

[dead_letter]
topic = "{source}-dead"

[kafka]
bootstrap = "{kafka}"
"""


class KafkaStack(Stack):
    """A broker, a service and a stream between two topics."""

    server: Broker

    def __init__(self, console: Console) -> None:
        folder = data_folder("demo")
        super().__init__(folder, Broker(folder / "kafka", console=console))
        self.model = folder / "digits.onnx"
        self.spec = folder / "digits.toml"
        self.kafka = ""

    def start_broker(self, port: int | None) -> None:
        """Bring up Kafka."""
        self.kafka = self.server.up(programs.choose_port(port, DEFAULT_PORT, "Kafka")).address

    def start_service(self, ports: Ports) -> None:
        """Serve the model."""
        self.serve(self.model, ports)

    def start_stream(self) -> None:
        """Let the stream take records from one topic to the other."""
        self.spec.write_text(_SPEC.format(source=SOURCE, sink=SINK, grpc=self.grpc, kafka=self.kafka))
        stream = self.start("stream", self.spec, ["penstock.cli", "stream", "run", str(self.spec)])
        stream.wait_for(lambda: "ready" in stream.log.read_text(errors="replace"))
