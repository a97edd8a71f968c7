"""The Open Inference Protocol, version 2: its tensors to and from numpy, over gRPC and over REST."""

from .datatypes import BYTES, datatype_of, dtypes
from .rest import read_infer_json, write_infer_json
from .rpc import read_infer_request, write_infer_response
from .tensors import InferRequest, RequestedOutput, Tensor

__all__ = [
    "BYTES",
    "InferRequest",
    "RequestedOutput",
    "Tensor",
    "datatype_of",
    "dtypes",
    "read_infer_json",
    "read_infer_request",
    "write_infer_json",
    "write_infer_response",
]
