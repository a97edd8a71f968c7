"""What a model is to the service: work made of a request, a run over many works, answers made into replies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from penstock.proto import Feedback, Kind, Message, Metric, Payload
    from penstock.proto.inference import Tensor
    from penstock.proto.payload import Array


_NOTHING: Final[Mapping[str, Any]] = {}


class TensorSpec(NamedTuple):
    """An input or output of a model.

    Attributes:
        name: as the model declares it.
        datatype: in the words of the Open Inference Protocol: FP32, INT64, BYTES.
        shape: -1 where a size is open; the first is the number of rows where the model takes many.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


class Work:
    """One request, checked and ready to run.

    (No dataclass, as that would compile its methods at each start, which takes as long as to import a module or two.)

    Attributes:
        value: what the model's `run` needs; nobody else looks at it.
        key: works of equal keys may go in one run; None goes alone.
        rows: how many it adds to a run.
        elements: a measure of how long it takes, for the choice of the thread it runs in.
    """

    __slots__ = ("elements", "key", "rows", "value")

    def __init__(self, value: Any, key: Hashable = None, rows: int = 1, elements: int = 1) -> None:
        self.value = value
        self.key = key
        self.rows = rows
        self.elements = elements


class Answer:
    """What a model gave for one work.

    Attributes:
        value: arrays by output name, or whatever a Python model returned.
        names: column names that the model has for it.
        tags: the model's own, for the reply's meta.
        metrics: the model's own; given to the caller and to Prometheus.
        routing: the child that a router chose.
    """

    __slots__ = ("metrics", "names", "routing", "tags", "value")

    def __init__(
        self,
        value: Any,
        names: tuple[str, ...] = (),
        tags: Mapping[str, Any] = _NOTHING,
        metrics: tuple[Metric, ...] = (),
        routing: Mapping[str, int] = _NOTHING,
    ) -> None:
        self.value = value
        self.names = names
        self.tags = tags
        self.metrics = metrics
        self.routing = routing


class Model(Protocol):
    """A loaded model; everything but `run` is quick and happens in the event loop.

    Attributes:
        name: of the model.
        version: empty where it has none.
        platform: what runs it, such as ``onnxruntime_onnx`` or ``python``.
        inputs: what it takes, where that is known.
        outputs: what it gives, where that is known.
        inline: whether short runs may happen in the event loop; never true for foreign code.
        tables: the short way for a table of numbers; None where the model takes more than one, or has a way of its own.
    """

    name: str
    version: str
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    inline: bool
    tables: Tables | None

    @property
    def unit(self) -> Unit:
        """The calls beside predict."""

    def predict(self, message: Message) -> Work:
        """Check a Seldon request; ModelInputError where the model does not take it."""

    def infer(self, inputs: Sequence[Tensor]) -> Work:
        """Check the tensors of an Open Inference request; ModelInputError where the model does not take them."""

    def run(self, works: Sequence[Work]) -> list[Answer]:
        """Run once for all of them; answers in their order. Anything it raises counts against all of them."""

    def reply(self, answer: Answer, asked: Payload | None, output: Kind | None) -> Payload:
        """The payload of a Seldon reply, of the kind ``output`` or, without one, as the request's kind demands."""

    def tensors(self, answer: Answer) -> list[Tensor]:
        """The outputs of an Open Inference reply."""

    def metadata(self) -> dict[str, Any]:
        """Seldon's model metadata: name, versions, platform, inputs, outputs, custom."""


class Tables(Protocol):
    """The short way through a `Model` for what almost everyone asks; it gives what `predict` and `reply` give."""

    def table(self, numbers: Array) -> Work:
        """Check a table of doubles, [rows, columns]; ModelInputError where the model does not take it."""

    def table_text(self, answer: Answer, kind: Kind) -> bytes:
        """The JSON of a reply up to its meta, as `jsontable.write_table`; nothing where only the long way has one."""


class Unit(Protocol):
    """The calls of Seldon's inference graph beside predict; None where the model does not offer one."""

    def transform_input(self, message: Message) -> Work | None:
        """Change a request on its way in."""

    def transform_output(self, message: Message) -> Work | None:
        """Change a reply on its way out."""

    def route(self, message: Message) -> Work | None:
        """Choose a child."""

    def aggregate(self, messages: Sequence[Message]) -> Work | None:
        """Make one reply of many."""

    def feedback(self, feedback: Feedback) -> Work | None:
        """Learn how good a reply was."""

    def health(self) -> Work | None:
        """Say how the model is."""


class NoUnit:
    """Of a model that has predict alone."""

    def transform_input(self, message: Message) -> Work | None:  # noqa: ARG002
        """Not offered."""
        return None

    def transform_output(self, message: Message) -> Work | None:  # noqa: ARG002
        """Not offered."""
        return None

    def route(self, message: Message) -> Work | None:  # noqa: ARG002
        """Not offered."""
        return None

    def aggregate(self, messages: Sequence[Message]) -> Work | None:  # noqa: ARG002
        """Not offered."""
        return None

    def feedback(self, feedback: Feedback) -> Work | None:  # noqa: ARG002
        """Not offered."""
        return None

    def health(self) -> Work | None:
        """Not offered."""
        return None
