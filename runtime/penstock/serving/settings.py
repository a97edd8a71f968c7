"""The settings of one service process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from penstock.proto import DEFAULT_LIMITS, SetupError

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.proto import Limits

    from .tls import Tls

GRPC_ENGINES: Final = ("penstock", "grpcio")


# Each method that a dataclass makes is compiled at each start.
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Settings:
    """What `penstock serve` can be told.

    Attributes:
        model: an ``.onnx`` or ``.tflite`` file, or a folder with one or with a Python class ``SeldonWrapper``.
        name: of the model and the service; the file's or folder's own where empty.
        version: of the model, as the Open Inference Protocol and Seldon's metadata tell it.
        host: address to listen on; the default is reachable from this machine only.
        grpc_port: 0 picks a free one, which the running server tells.
        http_port: the same for REST; the same number as ``grpc_port`` makes one listener for both.
        grpc_engine: what answers on the gRPC port: ``penstock`` or ``grpcio``, whose server speaks gRPC only.
        tls: certificate and key; without them connections are plain text.
        workers: processes that serve the model, each with a batcher of its own.
        worker_timeout: seconds beyond ``deadline`` in which a worker says nothing until it is killed and replaced; 0 is
            for ever.
        shared: where workers keep a form of the model that they share; made by their parent.
        deadline: seconds that a prediction may take, waiting included; a caller may ask for less, not for more.
        max_batch: rows in one run of the model; 1 gives every request a run of its own.
        batch_wait: seconds that a run waits for more rows to come; 0 gathers only what comes while the model is busy.
        max_queue: rows that may wait for the model; what comes then is refused.
        threads: that onnxruntime or LiteRT may use within one run.
        limits: what is refused before anything is allocated for it.
        drain: seconds that a stop waits for what is in flight.
    """

    model: Path
    name: str = ""
    version: str = ""
    host: str = "127.0.0.1"
    grpc_port: int = 5000
    http_port: int = 9000
    grpc_engine: str = "penstock"
    tls: Tls | None = None
    workers: int = 1
    worker_timeout: float = 30.0
    shared: Path | None = None
    deadline: float = 3.0
    max_batch: int = 1024
    batch_wait: float = 0.0
    max_queue: int = 16384
    threads: int = 1
    limits: Limits = DEFAULT_LIMITS
    drain: float = 10.0

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.model.stem or self.model.resolve().name)
        self._check(self.deadline > 0, "the deadline is a number of seconds above 0", self.deadline)
        self._check(self.max_batch >= 1, "max_batch is a number of rows, 1 or more", self.max_batch)
        self._check(self.batch_wait >= 0, "batch_wait is a number of seconds, 0 or more", self.batch_wait)
        self._check(self.max_queue >= 1, "max_queue is a number of rows, 1 or more", self.max_queue)
        self._check(self.threads >= 0, "threads is a number, 0 for one per core", self.threads)
        self._check(self.drain >= 0, "drain is a number of seconds, 0 or more", self.drain)
        self._check(self.worker_timeout >= 0, "worker_timeout is a number of seconds, 0 or more", self.worker_timeout)
        self._check(self.workers >= 1, "workers is a number of processes, 1 or more", self.workers)
        self._check(self.grpc_engine in GRPC_ENGINES, f"grpc_engine is {' or '.join(GRPC_ENGINES)}", self.grpc_engine)
        self._check(
            self.grpc_engine == "penstock" or not self.grpc_port or self.grpc_port != self.http_port,
            "grpcio's server shares its port with nobody; grpc_port is another one than http_port",
            self.grpc_port,
        )
        self._check(
            self.workers == 1 or self.grpc_engine == "penstock",
            "grpcio's server does not share its connections; with it, workers is 1",
            self.workers,
        )
        for port in (self.grpc_port, self.http_port):
            self._check(0 <= port <= 65535, "a port is a number from 0 (any free one) to 65535", port)

    @staticmethod
    def _check(fine: bool, rule: str, value: float | str) -> None:  # noqa: FBT001  (the condition itself)
        if not fine:
            raise SetupError(f"{rule}, not {value}", code="BAD_SETTING")
