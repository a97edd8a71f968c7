"""Take the templates' pictures: ``python -m templates.author.pictures [--address NIFI] [--browser FILE] [NAME …]``."""

from __future__ import annotations

import argparse
import asyncio
import io
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from penstock.deploy.canvas import connect
from penstock.deploy.flows import load

from .browser import page
from .canvas import imported

if TYPE_CHECKING:
    from penstock.deploy.canvas import Connection

    from .browser import Page

_TEMPLATES = Path(__file__).parents[1]
_SIZE = (1400, 1100)
_HEADER = 98  # the toolbar and the line of counts above the canvas
_MARGIN = 24
_READY = "document.querySelector('.icon-zoom-fit') && document.querySelector('.canvas-svg g.component rect.border')"
_FIT = "document.querySelector('.icon-zoom-fit').closest('button').click()"
# The counts and the state of each component come a moment after its frame; the zoom takes 500 ms.
_SETTLED = "new Promise(done => setTimeout(done, 1500))"
_PANELS = "document.querySelector('graph-controls').style.display = 'none'"
_BOX = """(() => {
  const parts = [...document.querySelectorAll('.canvas-svg :is(.component, .connection, .connection-label-container)')]
  const all = parts.map(part => part.getBoundingClientRect()).filter(box => box.width)
  const [x, y] = [Math.min(...all.map(box => box.left)), Math.min(...all.map(box => box.top))]
  return {x, y, width: Math.max(...all.map(box => box.right)) - x, height: Math.max(...all.map(box => box.bottom)) - y}
})()"""


def main() -> None:
    """Take the pictures of the named templates, or of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", help="a NiFi with Penstock's processors; the local one unless given")
    parser.add_argument("--browser", default=shutil.which("chromium") or "chromium", help="Chromium or Chrome")
    parser.add_argument("names", nargs="*", metavar="NAME")
    given = parser.parse_args()
    names = given.names or sorted(path.parent.name for path in _TEMPLATES.glob("*/flow.json"))
    asyncio.run(_take_all(connect(given.address), given.browser, names))


async def _take_all(nifi: Connection, browser: str, names: list[str]) -> None:
    for name in names:
        folder = _TEMPLATES / name
        flow = load(folder / "flow.json")
        for parameter in next(iter(flow["parameterContexts"].values()))["parameters"]:
            if parameter["name"] == "input-folder":
                parameter["value"] = tempfile.gettempdir()  # one that is there, so that nothing is marked as wrong
        with imported(nifi, flow) as group:
            async with page(browser, _SIZE) as canvas:
                picture = _small(await _take(canvas, nifi.canvas_of(group)))
        (folder / "canvas.png").write_bytes(picture)
        print(f"{name}: {len(picture):,} bytes")


async def _take(canvas: Page, address: str) -> bytes:
    await canvas.ask("Page.navigate", url=address)
    await canvas.wait_for(_READY)
    await canvas.run(_SETTLED)
    await canvas.run(_FIT)
    await canvas.run(_SETTLED)
    await canvas.run(_PANELS)
    box = await canvas.run(_BOX)
    left, top = max(0, box["x"] - _MARGIN), max(_HEADER, box["y"] - _MARGIN)
    right, bottom = box["x"] + box["width"] + _MARGIN, box["y"] + box["height"] + _MARGIN
    return await canvas.picture({"x": left, "y": top, "width": right - left, "height": bottom - top})


def _small(png: bytes) -> bytes:
    """The same picture with a palette, a third of the size."""
    file = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(
        file, "PNG", optimize=True
    )
    return file.getvalue()


if __name__ == "__main__":
    main()
