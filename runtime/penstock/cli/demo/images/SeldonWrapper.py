"""The demo's image model: a base64 PNG or JPEG of a written digit in, the three most probable digits out.

Request ``[["<base64>"]]``, reply ``[[id, label, probability], …]``, three rows for each image, the best first; all of
it text. It stands beside ``digits.onnx``, as ``penstock demo --nifi`` writes it, and any Seldon server can run it.
"""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LABELS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TOP = 3
_SIDE = 8  # the scans that it was trained on are 8×8 pixels of brightness 0 to 16
_BRIGHTEST = 16
_FORMATS = ("PNG", "JPEG")  # no other decoder of Pillow's sees what a caller sends
# A few hundred kilobytes can unpack to gigabytes of pixels, so the size that the header tells is looked at first.
_LARGEST_TEXT = 4 << 20
_MOST_PIXELS = 4 << 20


class UnreadableImageError(ValueError):
    """What was sent is no image that can be read; the service answers with this text and status."""

    status_code = 400


class SeldonWrapper:
    """Called by the service."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(Path(__file__).with_name("digits.onnx"), options)

    def predict(self, rows: Any, features_names: Any = None) -> NDArray[np.str_]:  # noqa: ARG002
        """Three rows for each image of ``rows``."""
        texts = np.asarray(rows, dtype=object).ravel()
        if not len(texts):
            raise UnreadableImageError("there is no image in the request")
        pixels = np.stack([_pixels(text) for text in texts])
        (probabilities,) = self._session.run(["probability"], {"image": pixels})
        return np.concatenate([_best(each) for each in probabilities])


def _best(probabilities: NDArray[np.float32]) -> NDArray[np.str_]:
    digits = np.argsort(probabilities)[::-1][:_TOP]
    return np.array([[f"digit-{digit}", _LABELS[digit], f"{probabilities[digit]:.7f}"] for digit in digits])


def _pixels(text: object) -> NDArray[np.float32]:
    image = _opened(text)
    try:
        grey = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error … for broken files
        raise UnreadableImageError("the image is broken or cut off") from error
    brightness: NDArray[np.float32] = np.rint(np.asarray(grey, np.float32) * (_BRIGHTEST / 255))
    return brightness.ravel()


def _opened(text: object) -> Image.Image:
    if not isinstance(text, str):
        raise UnreadableImageError('an image is base64 text: [["…"]]')
    if len(text) > _LARGEST_TEXT:
        raise UnreadableImageError(f"an image has at most {_LARGEST_TEXT:,} characters of base64")
    try:
        file = io.BytesIO(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise UnreadableImageError("the text is not base64") from error
    try:
        image = Image.open(file, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise _too_large() from error
    except Exception as error:
        raise UnreadableImageError("the bytes are no PNG or JPEG image") from error
    if image.width * image.height > _MOST_PIXELS:
        raise _too_large()
    return image


def _too_large() -> UnreadableImageError:
    return UnreadableImageError(f"an image has at most {_MOST_PIXELS:,} pixels")
