"""A payload: one of the six kinds of Seldon's protocol, and its value.

==========  ===================================  ==========================================================
kind        Python value                         as the content of a FlowFile, Kafka record or MQTT message
==========  ===================================  ==========================================================
binData     bytes                                the bytes themselves; base64 where the source is text
strData     str                                  UTF-8 text
jsonData    None, bool, int, float, str,         JSON text
            list, dict
ndarray     numpy array; dtype object where      JSON text, a nested list
            the elements are text or mixed
tensor      numpy array, dtype float64           JSON text, ``{"shape": [2, 2], "values": [1, 2, 3, 4]}``
tftensor    numpy array, any dtype of            TensorFlow's ``TensorProto``, binary or its JSON mapping
            ``TensorProto``; bytes objects for
            DT_STRING
==========  ===================================  ==========================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .asides import Metric, Status

    Array: TypeAlias = NDArray[Any]

# Not recursive on purpose: mypy follows recursive aliases into numpy's stubs, and nobody reads the errors.
Json: TypeAlias = Any


class Kind(StrEnum):
    """The six kinds, spelled as on the wire."""

    BIN_DATA = "binData"
    STR_DATA = "strData"
    JSON_DATA = "jsonData"
    NDARRAY = "ndarray"
    TENSOR = "tensor"
    TFTENSOR = "tftensor"

    @property
    def is_array(self) -> bool:
        """Whether the value is a numpy array: ndarray, tensor and tftensor."""
        return self in _ARRAY_KINDS


# No set: the hash of an enum's member is a function in Python, and this is asked several times a message.
_ARRAY_KINDS = (Kind.TENSOR, Kind.NDARRAY, Kind.TFTENSOR)


@dataclass(frozen=True, slots=True, eq=False)
class Payload:
    """A value and the kind it travels as.

    Attributes:
        kind: one of the six.
        value: bytes, str, a JSON value or a numpy array, as the table of this module says.
        names: column names of an array kind; empty where there are none.
    """

    kind: Kind
    value: Any
    names: tuple[str, ...] = ()

    @property
    def array(self) -> np.ndarray[Any, np.dtype[Any]]:
        """The value of an array kind."""
        if not self.kind.is_array:
            raise TypeError(f"a payload of kind {self.kind} holds no array")
        return self.value  # type: ignore[no-any-return]

    def renamed(self, names: tuple[str, ...]) -> Payload:
        """The same payload with other column names."""
        return replace(self, names=names)


@dataclass(frozen=True, slots=True)
class Meta:
    """What travels beside the payload (Seldon's ``meta``).

    Attributes:
        puid: identifies one prediction, from source record to result.
        tags: any JSON values.
        routing: the child that each router chose.
        request_path: the image of each unit that the message passed.
        metrics: what the units on the way measured.
    """

    puid: str = ""
    tags: dict[str, Json] = field(default_factory=dict)
    routing: dict[str, int] = field(default_factory=dict)
    request_path: dict[str, str] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.puid or self.tags or self.routing or self.request_path or self.metrics)


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """A SeldonMessage: at most one payload, and what travels beside it."""

    payload: Payload | None = None
    meta: Meta = field(default_factory=Meta)
    status: Status | None = None
