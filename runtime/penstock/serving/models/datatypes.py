"""onnxruntime's element types: their numpy dtype and their name in the Open Inference Protocol."""

from __future__ import annotations

from typing import Any

import numpy as np

# Element type as onnxruntime spells it -> (numpy dtype, Open Inference datatype).
ELEMENTS: dict[str, tuple[np.dtype[Any], str]] = {
    "bool": (np.dtype(np.bool_), "BOOL"),
    "uint8": (np.dtype(np.uint8), "UINT8"),
    "uint16": (np.dtype(np.uint16), "UINT16"),
    "uint32": (np.dtype(np.uint32), "UINT32"),
    "uint64": (np.dtype(np.uint64), "UINT64"),
    "int8": (np.dtype(np.int8), "INT8"),
    "int16": (np.dtype(np.int16), "INT16"),
    "int32": (np.dtype(np.int32), "INT32"),
    "int64": (np.dtype(np.int64), "INT64"),
    "float16": (np.dtype(np.float16), "FP16"),
    "float": (np.dtype(np.float32), "FP32"),
    "double": (np.dtype(np.float64), "FP64"),
    "string": (np.dtype(object), "BYTES"),
}


def element_of(declared: str) -> tuple[np.dtype[Any], str] | None:
    """Of ``tensor(float)``; None where it is not a tensor, or of elements that numpy cannot carry."""
    if not declared.startswith("tensor("):
        return None
    return ELEMENTS.get(declared[len("tensor(") : -1])
