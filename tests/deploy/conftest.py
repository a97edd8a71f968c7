"""A Maven repository of our own, over real HTTP, that can also misbehave."""

from __future__ import annotations

import gc
import hashlib
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from penstock.deploy.pins import Pin, Pins, as_toml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Repository:
    """What is served, what was asked for, and what goes wrong.

    Attributes:
        lock: a file of pins for everything served.
        files: content by file name.
        asked: how often each file name was asked for.
        failures: answers with an error that a file still has to give.
        cuts: answers that still have to break off in the middle.
        hold: while cleared, answers stop in the middle.
    """

    lock: Path
    files: dict[str, bytes]
    asked: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    cuts: Counter[str] = field(default_factory=Counter)
    hold: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """Three files of different sizes; jgo and the cache are told by their settings to use this and `tmp_path`."""
    files = {f"part{n}-1.{n}.jar": bytes([n]) * (200_000 * n + 17) for n in (1, 2, 3)}
    pins = [Pin("org.example", f"part{n}", f"1.{n}", *_sum(files[f"part{n}-1.{n}.jar"])) for n in (1, 2, 3)]
    lock = tmp_path / "parts.toml"
    lock.write_text(as_toml(Pins("Parts 1", "org.example:part1:1.1", tuple(pins))))
    served = Repository(lock, files)
    served.hold.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"served": served}))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    settings = tmp_path / "jgo.conf"
    settings.write_text(f"[repositories]\ncentral = http://127.0.0.1:{server.server_port}\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PENSTOCK_CACHE", str(tmp_path / "cache"))
    yield served
    served.hold.set()
    server.shutdown()
    gc.collect()
    server.server_close()


def _sum(content: bytes) -> tuple[str, int]:
    return hashlib.sha256(content).hexdigest(), len(content)


class _Handler(BaseHTTPRequestHandler):
    served: Repository

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        content = self.served.files.get(name)
        self.served.asked[name] += 1
        if content is None:
            self.send_error(404)
        elif self.served.failures[name] > 0:
            self.served.failures[name] -= 1
            self.send_error(503)
        else:
            self._send(name, content)

    def _send(self, name: str, content: bytes) -> None:
        half = len(content) // 2
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:half])
        self.served.hold.wait(30)
        if self.served.cuts[name] > 0:
            self.served.cuts[name] -= 1
            return
        self.wfile.write(content[half:])

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client that was killed in the middle
            super().handle()
