"""What the Open Inference doors tell about the server and its one model, the same over REST and gRPC."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from penstock.proto import RequestError

if TYPE_CHECKING:
    from penstock.serving.models import TensorSpec
    from penstock.serving.service import Service


@cache
def server_metadata() -> dict[str, Any]:
    """Name, version and extensions of the server, as the protocol's JSON has them."""
    # Imported when asked for: it brings the whole of email, and a start should be short.
    from importlib.metadata import version

    return {"name": "penstock", "version": version("penstock"), "extensions": ["binary_tensor_data"]}


def check_model(service: Service, name: str, asked_version: str = "") -> None:
    """Raise RequestError 404 where the caller asks for another model, or another version of it."""
    model = service.model
    if name != model.name:
        raise RequestError(
            f"there is no model {name!r:.80} here; this service is {model.name!r}",
            code="UNKNOWN_MODEL",
            http_status=404,
            grpc_status="NOT_FOUND",
        )
    if asked_version and asked_version != model.version:
        raise RequestError(
            f"model {name!r} has no version {asked_version!r:.40}; it is {model.version!r}",
            code="UNKNOWN_VERSION",
            http_status=404,
            grpc_status="NOT_FOUND",
        )


def model_metadata(service: Service) -> dict[str, Any]:
    """Name, versions, platform, inputs and outputs, as the protocol's JSON has them."""
    model = service.model
    return {
        "name": model.name,
        "versions": [model.version] if model.version else [],
        "platform": model.platform,
        "inputs": [_tensor(tensor) for tensor in model.inputs],
        "outputs": [_tensor(tensor) for tensor in model.outputs],
    }


def model_index(service: Service, *, ready_only: bool) -> list[dict[str, Any]]:
    """The one model as an entry of a model repository; none where only ready ones are asked for and it is not."""
    if ready_only and not service.ready:
        return []
    state = "READY" if service.ready else "UNAVAILABLE"
    return [{"name": service.model.name, "version": service.model.version, "state": state, "reason": ""}]


def _tensor(tensor: TensorSpec) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
