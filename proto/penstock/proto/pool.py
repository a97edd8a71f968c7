"""A descriptor pool of our own.

protobuf's default pool takes each message name once per process. A user's model may import tensorflow
(``tensorflow.TensorProto``) or tritonclient (``inference.ModelInferRequest``) beside us, and both sides
would fail with a duplicate symbol; so our generated modules register here instead.
"""

from __future__ import annotations

from google.protobuf import any_pb2, empty_pb2, struct_pb2
from google.protobuf.descriptor_pool import DescriptorPool

POOL = DescriptorPool()
for _module in (any_pb2, empty_pb2, struct_pb2):
    POOL.AddSerializedFile(_module.DESCRIPTOR.serialized_pb)
