"""The path on one page: check, wait for the model, run, answer, count. Every door calls only this."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING, Any

from penstock.proto import (
    DeadlineExceeded,
    Kind,
    Message,
    Meta,
    ModelInputError,
    Payload,
    PayloadError,
    Unavailable,
    write_json_message,
)
from penstock.proto.jsontable import path_text, write_meta

from .batcher import Batcher
from .exposition import exposition
from .failures import not_offered
from .meta import merged, of_raw, of_reply
from .metrics import Metrics
from .models import load
from .worker import Worker

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from penstock.proto import Feedback
    from penstock.proto.inference import Tensor
    from penstock.proto.payload import Array

    from .batcher import Asker
    from .exposition import Family
    from .models import Answer, Model, Work
    from .settings import Settings


class Service:
    """One model, ready to be asked. `Service.start` makes one, in the event loop that it will be used in.

    Attributes:
        settings: what it was started with.
        model: what it serves.
        metrics: what it counts.
        ready: whether requests are taken; false once it is stopping.
        colleagues: asks all processes that serve this model for their numbers, and sums them; None where there is one.
    """

    def __init__(self, settings: Settings, model: Model, worker: Worker) -> None:
        self.settings = settings
        self.model = model
        self.metrics = Metrics(model.name)
        self.ready = True
        self.colleagues: Callable[[], Awaitable[list[Family]]] | None = None
        self._worker = worker
        self._batcher = Batcher(model.run, settings, worker, self.metrics, inline=model.inline)
        self.metrics.watch(lambda: self._batcher.rows, lambda: self._batcher.pending)
        self._path = {model.name: f"{model.name}:{model.version}" if model.version else model.name}
        self._path_text = path_text(self._path)
        # Unique without asking the system for randomness at each request.
        self._puids = map(f"{os.urandom(10).hex()}{{:012x}}".format, count(1))

    @classmethod
    async def start(cls, settings: Settings) -> Service:
        """Load the model, in the thread it will run in.

        Raises:
            ModelLoadError: it cannot be loaded.
        """
        worker = Worker(f"model {settings.name}")
        try:
            return cls(settings, await worker.call(lambda: load(settings)), worker)
        except BaseException:
            worker.stop()
            raise

    async def predict(
        self, message: Message, *, puid: str = "", deadline: float | None = None, output: Kind | None = None
    ) -> Message:
        """Answer a Seldon request.

        Args:
            message: the request.
            puid: from the transport's headers; the message's own goes first, and one is made where there is none.
            deadline: seconds that the caller still waits; counts where it is less than the service's own.
            output: the kind of the reply; as the request's where not said.

        Raises:
            PenstockError: PayloadError or ModelInputError where the request is wrong, ModelError where the model
                is; Unavailable, Overloaded, DeadlineExceeded.
        """
        answer = await self._ask(self.model.predict(message), deadline)
        return self._reply(answer, message.payload, self._meta(message.meta, puid), "predict", output)

    def ask_table(self, numbers: Array, asker: Asker) -> None:
        """The short way of `predict`, where the model has `Model.tables`: the answer goes to ``asker``.

        Raises:
            PenstockError: as `predict`, where the request does not even come into the queue.
        """
        assert self.model.tables is not None  # noqa: S101  (the caller has looked)
        work = self.model.tables.table(numbers)
        if not self.ready:
            self._check_ready()
        self._batcher.submit_for(asker, work, self.settings.deadline)

    def table_reply(self, answer: Answer, kind: Kind, puid: str) -> tuple[str, bytes]:
        """The puid and the JSON text of a reply to `ask_table`.

        Args:
            answer: as the asker was given it.
            kind: of the request.
            puid: of the request, as `jsontable.Table` has it; one is made where it is empty.

        Raises:
            PenstockError: the answer has no reply of that kind.
        """
        assert self.model.tables is not None  # noqa: S101  (the caller has looked)
        puid = puid or next(self._puids)
        text = self.model.tables.table_text(answer, kind)
        if text:
            return puid, text + write_meta(puid, self._path_text)
        reply = self._reply(answer, Payload(kind, None), self._meta(Meta(puid), ""), "predict", None)
        return puid, write_json_message(reply)

    async def infer(
        self,
        inputs: Sequence[Tensor],
        *,
        outputs: Sequence[str] = (),
        request_id: str = "",  # noqa: ARG002  (for models that will log it)
        parameters: Mapping[str, Any] | None = None,  # noqa: ARG002  (no model of ours takes any yet)
        deadline: float | None = None,
    ) -> list[Tensor]:
        """Answer an Open Inference request: all outputs, or those named, in the order asked.

        Raises:
            PenstockError: as `predict`; ModelInputError for an output that is not there.
        """
        answer = await self._ask(self.model.infer(inputs), deadline)
        if answer.metrics:
            self.metrics.model.observe(answer.metrics, "infer")
        tensors = self.model.tensors(answer)
        return _chosen(tensors, outputs) if outputs else tensors

    async def feedback(self, feedback: Feedback, deadline: float | None = None) -> Message:
        """Tell the model how good a reply was; one without ``send_feedback`` is not bothered."""
        self.metrics.feedback(feedback.reward)
        return await self._unit_call("send_feedback", self.model.unit.feedback(feedback), feedback.request, deadline)

    async def transform_input(self, message: Message, deadline: float | None = None) -> Message:
        """Let the model change a request; one without ``transform_input`` gives it back."""
        return await self._unit_call("transform_input", self.model.unit.transform_input(message), message, deadline)

    async def transform_output(self, message: Message, deadline: float | None = None) -> Message:
        """Let the model change a reply; one without ``transform_output`` gives it back."""
        return await self._unit_call("transform_output", self.model.unit.transform_output(message), message, deadline)

    async def route(self, message: Message, deadline: float | None = None) -> Message:
        """Let the model choose a child: -1 is all of them, -2 none.

        Raises:
            RequestError: the model has no ``route``.
        """
        work = _offered("route", self.model.unit.route(message))
        return await self._unit_call("route", work, message, deadline)

    async def aggregate(self, messages: Sequence[Message], deadline: float | None = None) -> Message:
        """Let the model make one reply of many; kind and puid are the first one's.

        Raises:
            RequestError: the model has no ``aggregate``. PayloadError: there are no messages.
        """
        if not messages:
            raise PayloadError("there are no messages to aggregate", code="EMPTY_MESSAGE")
        work = _offered("aggregate", self.model.unit.aggregate(messages))
        first = Message(messages[0].payload, merged([message.meta for message in messages]))
        return await self._unit_call("aggregate", work, first, deadline)

    async def health(self) -> Message:
        """What the model's ``health_status`` says; ``healthy`` where it has none and the service is ready."""
        work = self.model.unit.health()
        if work is None:
            self._check_ready()
            return Message(Payload(Kind.STR_DATA, "healthy"))
        return self._reply(await self._ask(work, None), None, Meta(), "health_status", None)

    def metadata(self) -> dict[str, Any]:
        """Seldon's model metadata."""
        return self.model.metadata()

    async def exposition(self) -> bytes:
        """What Prometheus is told: this process' numbers, or those of all workers where there are several."""
        return exposition(self.metrics.families() if self.colleagues is None else await self.colleagues())

    @property
    def is_away(self) -> bool:
        """Whether the model's thread has something to do."""
        return self._batcher.is_away

    async def stop(self) -> None:
        """Take nothing new, answer what is in flight within the drain time, and let go of the model."""
        self.ready = False
        await self._batcher.stop(self.settings.drain)
        self._worker.stop()

    def _check_ready(self) -> None:
        if not self.ready:
            raise Unavailable("the service is stopping; try again, another instance may answer")

    def _ask(self, work: Work, deadline: float | None) -> Future[Answer]:
        if not self.ready:
            self._check_ready()
        seconds = self.settings.deadline
        if deadline is not None and deadline < seconds:
            seconds = deadline
            if seconds <= 0:
                raise DeadlineExceeded("the caller's deadline was over before the model was asked")
        return self._batcher.submit(work, seconds)

    async def _unit_call(self, method: str, work: Work | None, request: Message, deadline: float | None) -> Message:
        meta = self._meta(request.meta, "")
        if work is None:
            return Message(request.payload, meta) if method.startswith("transform") else Message(_nothing(), meta)
        return self._reply(await self._ask(work, deadline), request.payload, meta, method, None)

    def _meta(self, meta: Meta, puid: str) -> Meta:
        path = {**self._path, **meta.request_path} if meta.request_path else self._path
        return Meta(meta.puid or puid or next(self._puids), meta.tags, {}, path, meta.metrics)

    def _reply(self, answer: Answer, asked: Payload | None, meta: Meta, method: str, output: Kind | None) -> Message:
        if answer.metrics:
            self.metrics.model.observe(answer.metrics, method)
        if isinstance(answer.value, Message):
            return of_raw(answer.value, meta)
        return Message(self.model.reply(answer, asked, output), of_reply(meta, answer))


def _nothing() -> Payload:
    """The empty list with which Seldon answers a feedback."""
    import numpy as np

    return Payload(Kind.NDARRAY, np.empty(0))


def _offered(method: str, work: Work | None) -> Work:
    if work is None:
        raise not_offered(method)
    return work


def _chosen(tensors: list[Tensor], names: Sequence[str]) -> list[Tensor]:
    by_name = {tensor.name: tensor for tensor in tensors}
    for name in names:
        if name not in by_name:
            raise ModelInputError(f"the model has no output {name!r:.80}; it gives {', '.join(by_name)}")
    return [by_name[name] for name in names]
