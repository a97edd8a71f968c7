"""What a service has answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.proto import Kind, Payload, ServiceError, convert

if TYPE_CHECKING:
    import numpy as np

    from penstock.proto import Message, Metric
    from penstock.proto.payload import Json


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """An answer.

    Attributes:
        message: all of it.
        elapsed: seconds from the call to here, retries included.
    """

    message: Message
    elapsed: float

    @property
    def payload(self) -> Payload:
        """The payload.

        Raises:
            ServiceError: ``NO_PAYLOAD``, the answer has none.
        """
        if self.message.payload is None:
            raise ServiceError("the service answered without a payload", code="NO_PAYLOAD")
        return self.message.payload

    @property
    def kind(self) -> Kind:
        """The payload's kind."""
        return self.payload.kind

    @property
    def value(self) -> Any:
        """The payload's value: a numpy array, bytes, str or a JSON value."""
        return self.payload.value

    @property
    def array(self) -> np.ndarray[Any, np.dtype[Any]]:
        """The value as a numpy array; it may be read-only.

        Raises:
            ConversionError: a payload of text, bytes or JSON has no form as an array.
        """
        payload = self.payload
        return payload.array if payload.kind.is_array else convert(payload, Kind.NDARRAY).array

    def to(self, kind: Kind | str) -> Payload:
        """The payload as another kind.

        Raises:
            ConversionError: it has no exact form there.
        """
        return convert(self.payload, kind)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names; empty where there are none."""
        return self.payload.names

    @property
    def puid(self) -> str:
        """Identifies this prediction everywhere it went; empty where a foreign service made none."""
        return self.message.meta.puid

    @property
    def tags(self) -> dict[str, Json]:
        """What the request and the models on the way have tagged."""
        return self.message.meta.tags

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What the models on the way have measured."""
        return self.message.meta.metrics

    @property
    def request_path(self) -> dict[str, str]:
        """The image of each unit that the request has passed."""
        return self.message.meta.request_path

    @property
    def model(self) -> str:
        """The model that answered; empty where the service does not tell, or several units did."""
        return self._unit()[0]

    @property
    def version(self) -> str:
        """Its version, the tag of its image; empty where the service does not tell."""
        _, image = self._unit()
        name, colon, tag = image.rpartition(":")
        return tag if colon and name and "/" not in tag else ""

    def _unit(self) -> tuple[str, str]:
        path = self.message.meta.request_path
        return next(iter(path.items())) if len(path) == 1 else ("", "")
