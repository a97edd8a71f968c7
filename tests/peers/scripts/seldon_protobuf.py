"""Reads SeldonMessages with seldon-core's own protobuf code and writes them again. JSON on standard input and output.

In: a list of SeldonMessages in hex. Out: for each ``{"json": its JSON form, "bytes": hex of what was written}``.
"""

import json
import sys

from google.protobuf import json_format
from seldon_core.proto import prediction_pb2


def answer(data):
    message = prediction_pb2.SeldonMessage.FromString(bytes.fromhex(data))
    message.DiscardUnknownFields()  # what it did not understand must be missed
    return {"json": json_format.MessageToDict(message), "bytes": message.SerializeToString(deterministic=True).hex()}


json.dump([answer(data) for data in json.load(sys.stdin)], sys.stdout)
