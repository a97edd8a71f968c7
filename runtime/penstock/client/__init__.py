"""Call a service, sync or async, over gRPC or REST: `Client` and `AsyncClient`.

Works with ``penstock serve`` and with any other server of Seldon's protocol.
"""

from ._async_client import AsyncClient
from ._client import Client
from ._config import ClientConfig, load_config
from ._metadata import ModelMetadata, TensorMetadata
from ._models import ServedModel
from ._prediction import Prediction
from ._settings import Retries, Tls
from ._tokens import PasswordGrant

__all__ = [
    "AsyncClient",
    "Client",
    "ClientConfig",
    "ModelMetadata",
    "PasswordGrant",
    "Prediction",
    "Retries",
    "ServedModel",
    "TensorMetadata",
    "Tls",
    "load_config",
]
