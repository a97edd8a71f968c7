"""Chromium without a window, driven over its own debugging protocol."""

from __future__ import annotations

import asyncio
import base64
import tempfile
import time
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PATIENCE = 60.0
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")


class Page:
    """One page: go somewhere, run JavaScript, take a picture."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One call of the protocol."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            reply = await self._socket.receive_json()
            if reply.get("id") == number:
                if "error" in reply:
                    raise RuntimeError(f"{method}: {reply['error']['message']}")
                return dict(reply["result"])

    async def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        result = await self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script:.80}: {result['exceptionDetails']['exception'].get('description')}")
        return result["result"].get("value")

    async def wait_for(self, script: str) -> None:
        """Wait until a JavaScript expression is true, looked at with each frame."""
        frame = (
            f"new Promise(done => {{const look = () => ({script}) ? done(1) : requestAnimationFrame(look); look()}})"
        )
        async with asyncio.timeout(_PATIENCE):
            await self.run(frame)

    async def picture(self, clip: dict[str, float]) -> bytes:
        """What is seen in a rectangle (x, y, width, height), as PNG."""
        taken = await self.ask("Page.captureScreenshot", format="png", clip=clip | {"scale": 1})
        return base64.b64decode(taken["data"])


@asynccontextmanager
async def page(browser: str, size: tuple[int, int]) -> AsyncIterator[Page]:
    """A page of this size, in a browser that ends with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            browser,
            *_OPTIONS,
            f"--user-data-dir={profile}",
            f"--window-size={size[0]},{size[1]}",
            "--remote-debugging-port=0",
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            port = await asyncio.to_thread(_port, Path(profile) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session:
                async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as reply:
                    address = (await reply.json())["webSocketDebuggerUrl"]
                async with session.ws_connect(address, max_msg_size=0) as socket:
                    opened = Page(socket)
                    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
                    await opened.ask("Emulation.setDeviceMetricsOverride", **metrics)
                    yield opened
        finally:
            process.terminate()
            await process.wait()


def _port(file: Path) -> str:
    """The port that the browser has written down, which it does when it listens."""
    end = time.monotonic() + _PATIENCE
    while not (file.exists() and "\n" in file.read_text()):
        if time.monotonic() > end:
            raise TimeoutError("the browser does not start")
        time.sleep(0.1)
    return file.read_text().splitlines()[0]
