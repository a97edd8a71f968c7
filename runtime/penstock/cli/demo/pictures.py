"""The demo's images as files: scans that the model has not seen, as PNG, and the model that reads such files."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .digits import train

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WRAPPER = Path(__file__).with_name("images") / "SeldonWrapper.py"
_SIDE = 8
_BRIGHTEST = 16
_SCALE = 8  # 64×64 pixels: large enough to look at


class Picture(NamedTuple):
    """A PNG file, its name, the scan in it (float32 [64], brightness 0 to 16), and the digit it shows."""

    name: str
    png: bytes
    scan: NDArray[np.float32]
    label: int


def lay_out_model(folder: Path, count: int) -> list[Picture]:
    """Write the image model, a folder that `penstock serve` takes, and return ``count`` pictures it has not seen."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = train(folder / "digits.onnx")
    shutil.copy(_WRAPPER, folder)
    kept = zip(digits.images[:count], digits.labels[:count], strict=True)
    return [Picture(f"digit-{n:03}.png", png(scan), scan, int(label)) for n, (scan, label) in enumerate(kept, 1)]


def png(scan: NDArray[np.float32]) -> bytes:
    """A scan as a PNG file, each of its pixels a square."""
    from PIL import Image

    grey = np.rint(scan.reshape(_SIDE, _SIDE) * (255 / _BRIGHTEST)).astype(np.uint8)
    image = Image.fromarray(grey).resize((_SIDE * _SCALE,) * 2, Image.Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
