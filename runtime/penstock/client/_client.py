"""The client for code with threads."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

from tenacity import Retrying

from penstock.proto import DEFAULT_LIMITS
from penstock.proto.errors import RequestError, ServiceError, Unauthenticated

from ._call import Call, Route
from ._config import ClientConfig, load_config
from ._core import Core
from ._engines import transport
from ._failures import AttemptFailed
from ._models import models_of
from ._retrying import may_repeat, policy
from ._settings import DEFAULT_DEADLINE, Retries, Tls
from ._tokens import PasswordGrant, Tokens, checked_token

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from penstock.proto import Kind
    from penstock.proto.payload import Json

    from ._metadata import ModelMetadata
    from ._models import ServedModel
    from ._prediction import Prediction


class Client:
    """Calls one service. Safe to share between threads; make one and keep it.

    >>> with Client("grpc://127.0.0.1:5000") as client:
    ...     client.predict(np.array([[5.1, 3.5, 1.4, 0.2]])).array

    Args:
        address: ``grpc://host:port``, ``host:port`` (gRPC too), ``grpcs://``, ``http://`` or ``https://``; with a
            path where the service has one (``/model-endpoints/name``, ``/seldon/namespace/name``).
        deadline: seconds for one call with all of its attempts.
        retries: how often what can be repeated is repeated.
        token: a bearer token, or where to get one.
        tls: how the service's certificate is checked.
        max_message_bytes: of one request or reply.
        engine: of gRPC calls: ``penstock``, our own, or ``grpcio``. By default our own, but where the environment
            names a proxy for the address, which only grpcio knows to use.

    Raises:
        SetupError: the address or a setting is wrong. No connection is made before the first call.
    """

    def __init__(
        self,
        address: str,
        *,
        deadline: float = DEFAULT_DEADLINE,
        retries: Retries | None = None,
        token: str | PasswordGrant | None = None,
        tls: Tls | None = None,
        max_message_bytes: int = DEFAULT_LIMITS.message_bytes,
        engine: str | None = None,
    ) -> None:
        tls = tls or Tls()
        self._core = Core(address, deadline, max_message_bytes)
        self._retries = retries or Retries()
        self._token = checked_token(token) if isinstance(token, str) and token else ""
        self._tokens = Tokens(token, tls) if isinstance(token, PasswordGrant) else None
        self._transport = transport(self._core.address, tls, max_message_bytes, engine)

    @classmethod
    def from_config(cls, config: ClientConfig | str | Path) -> Self:
        """A client as a configuration, or the file of one, says."""
        config = config if isinstance(config, ClientConfig) else load_config(config)
        config.apply_log_level()
        return cls(config.address, **config.arguments())

    def predict(
        self,
        value: Any,
        *,
        names: Sequence[str] = (),
        kind: Kind | str | None = None,
        puid: str = "",
        tags: Mapping[str, Json] | None = None,
        deadline: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Prediction:
        """Ask for a prediction.

        Args:
            value: a numpy array, list, str, bytes, dict, `Payload` or `Message`.
            names: of the columns.
            kind: what it travels as. By default arrays of numbers go over gRPC as tensor, over REST, and lists
                anywhere, as ndarray; tftensor keeps the dtype and halves float32, where the server knows TensorFlow.
            puid: identifies the prediction; the service makes one where it is empty.
            tags: JSON values that come back with the answer.
            deadline: seconds for this call instead of the client's.
            headers: gRPC metadata or HTTP headers, such as ``traceparent``, or what a gateway chooses the model by.

        Raises:
            PenstockError: whatever went wrong, here, on the way or in the service.
        """
        started = perf_counter()
        body = self._core.predict_body(value, kind, names, puid, tags)
        reply = self._ask(self._core.call(Route.PREDICT, body, deadline, headers))
        return self._core.prediction(reply, started)

    def feedback(
        self,
        *,
        request: Any = None,
        response: Any = None,
        reward: float = 0.0,
        truth: Any = None,
        deadline: float | None = None,
    ) -> Prediction:
        """Tell how good an answer was.

        Args:
            request: what was asked: a value as for `predict`.
            response: what was answered; a `Prediction` as it came.
            reward: how good that was.
            truth: what would have been right.
            deadline: seconds for this call instead of the client's.
        """
        started = perf_counter()
        body = self._core.feedback_body(request, response, reward, truth)
        reply = self._ask(self._core.call(Route.FEEDBACK, body, deadline))
        return self._core.prediction(reply, started)

    def metadata(self, *, deadline: float | None = None) -> ModelMetadata:
        """What the service tells about its model."""
        return self._core.metadata(self._ask(self._core.call(Route.METADATA, b"", deadline)))

    def models(self, *, deadline: float | None = None) -> tuple[ServedModel, ...]:
        """The models that can be asked for at this address: those of a gateway, or the one of a service.

        Asked is the index of the Open Inference Protocol's model repository; a service without one, such as a real
        seldon-core, tells the name in its metadata, where it tells it.
        """
        call = self._core.models_call(deadline)
        try:
            return self._core.models(self._ask(call))
        except RequestError as error:
            if error.http_status not in (404, 405):
                raise
        return models_of(self.metadata(deadline=call.left))

    def ready(self, *, deadline: float | None = None) -> bool:
        """Whether the service can be called now; asked once.

        A service without a health check (a real seldon-core over gRPC) is ready when it answers at all.

        Raises:
            Unauthenticated, SetupError: waiting will not help.
        """
        call = self._core.call(Route.READY, b"", deadline)
        try:
            return self._core.form.read_ready(self._attempt(call))
        except AttemptFailed as failed:
            return answers(failed)

    def close(self) -> None:
        """End every connection; calls that are under way fail."""
        self._transport.close()
        if self._tokens:
            self._tokens.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._core.address)!r})"

    def _ask(self, call: Call) -> bytes:
        try:
            return self._attempt(call)
        except AttemptFailed as failed:
            if not may_repeat(failed, call):
                raise failed.error from None
            first = failed
        try:
            return self._repeat(call, first)
        except AttemptFailed as failed:
            raise failed.error from None

    def _repeat(self, call: Call, first: AttemptFailed) -> bytes:
        # tenacity sees the first failure too, but only now: an attempt that succeeds does not pay for it.
        for attempt in Retrying(**policy(self._retries, call, self._core.address)):
            with attempt:
                if attempt.retry_state.attempt_number == 1:
                    raise first
                return self._attempt(call)
        raise first  # not reached: tenacity raises the last failure

    def _attempt(self, call: Call) -> bytes:
        if self._tokens is None:
            return self._transport.send(call, self._token)
        token = self._tokens.get(call)
        try:
            return self._transport.send(call, token)
        except AttemptFailed as failed:
            if not isinstance(failed.error, Unauthenticated):
                raise
        # Once with a new token: the service may have forgotten the old one before its time.
        self._tokens.drop(token)
        self._core.over(call)
        return self._transport.send(call, self._tokens.get(call))


def answers(failed: AttemptFailed) -> bool:
    """Whether a failed health check still shows a service that can be called; raises where waiting will not help."""
    if isinstance(failed.error, RequestError) and failed.error.http_status in (404, 405):
        return True
    if isinstance(failed.error, ServiceError) and not isinstance(failed.error, Unauthenticated):
        return False
    raise failed.error from None
