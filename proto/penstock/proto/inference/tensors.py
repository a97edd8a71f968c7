"""A named tensor of the Open Inference Protocol, and one request to infer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.proto.payload import Array


@dataclass(slots=True, eq=False)  # frozen, one would take three times as long to make
class Tensor:
    """One named array.

    Attributes:
        name: of the model's input or output.
        array: any shape; of a dtype of `dtypes`. BYTES is dtype object holding bytes; inputs are read-only views
            of the received bytes where the wire allows it.
    """

    name: str
    array: Array


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """An output that the caller asked for by name.

    Attributes:
        name: of the model's output.
        binary: whether a REST reply carries it behind the JSON instead of inside it; None leaves it to the request.
    """

    name: str
    binary: bool | None = None


@dataclass(slots=True, eq=False)  # not frozen, as `Tensor`
class InferRequest:
    """What a caller asks a model.

    Attributes:
        inputs: the tensors, in the caller's order.
        outputs: the outputs wanted; empty means all of them.
        id: the caller's own, given back with the answer.
        model_name: empty over REST, where the path has it.
        model_version: empty means any.
        parameters: of the whole request; bool, int, float or str values.
        binary_output: whether a REST reply is binary where an output does not say.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[RequestedOutput, ...] = ()
    id: str = ""
    model_name: str = ""
    model_version: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    binary_output: bool = False
