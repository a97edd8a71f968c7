"""The path on one page: check, wait for the model, run, answer, count. Every door calls only this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.proto import Feedback, Kind, Message
    from penstock.proto.inference import Tensor

    from .metrics import Metrics
    from .models import Model
    from .settings import Settings


class Service:
    """One model, ready to be asked."""

    def __init__(self, settings: Settings, model: Model) -> None:
        self.settings = settings
        self.model = model
        self.metrics: Metrics
        self.ready = True

    async def predict(
        self, message: Message, *, puid: str = "", deadline: float | None = None, output: Kind | None = None
    ) -> Message:
        raise NotImplementedError

    async def infer(
        self,
        inputs: Sequence[Tensor],
        *,
        outputs: Sequence[str] = (),
        request_id: str = "",
        parameters: Mapping[str, Any] | None = None,
        deadline: float | None = None,
    ) -> list[Tensor]:
        raise NotImplementedError

    async def feedback(self, feedback: Feedback) -> Message:
        raise NotImplementedError

    async def transform_input(self, message: Message) -> Message:
        raise NotImplementedError

    async def transform_output(self, message: Message) -> Message:
        raise NotImplementedError

    async def route(self, message: Message) -> Message:
        raise NotImplementedError

    async def aggregate(self, messages: Sequence[Message]) -> Message:
        raise NotImplementedError

    async def health(self) -> Message:
        raise NotImplementedError

    def metadata(self) -> dict[str, Any]:
        raise NotImplementedError

    async def stop(self) -> None:
        raise NotImplementedError
