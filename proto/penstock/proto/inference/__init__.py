"""The Open Inference Protocol, version 2: its tensors to and from numpy, over gRPC and over REST."""

from .datatypes import BYTES, DTYPES, datatype_of
from .rest import read_infer_json, write_infer_json
from .rpc import read_infer_request, write_infer_response
from .tensors import InferRequest, RequestedOutput, Tensor

__all__ = [
    "BYTES",
    "DTYPES",
    "InferRequest",
    "RequestedOutput",
    "Tensor",
    "datatype_of",
    "read_infer_json",
    "read_infer_request",
    "write_infer_json",
    "write_infer_response",
]
