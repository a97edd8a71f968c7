"""Calls a service with seldon-core's own ``SeldonClient``. JSON on standard input, JSON on standard output.

In: ``{"grpc": "host:port", "rest": "host:port", "calls": [{"method": name of SeldonClient's method, "transport":
"grpc" or "rest", "arguments": {…}}]}``. Arrays are lists under ``data``, bytes are base64 under ``bin_data``.
Out: for each call ``{"success": …, "message": …, "response": the SeldonMessage in protobuf's JSON form, or null}``.
"""

import base64
import json
import sys

import numpy as np
from google.protobuf import json_format
from seldon_core.proto import prediction_pb2
from seldon_core.seldon_client import SeldonClient


def arguments_of(given):
    arguments = dict(given)
    if "data" in arguments:
        arguments["data"] = np.array(arguments["data"])
    if "datas" in arguments:
        arguments["datas"] = [np.array(one) for one in arguments["datas"]]
    if "bin_data" in arguments:
        arguments["bin_data"] = base64.b64decode(arguments["bin_data"])
    for name in ("prediction_request", "prediction_response"):
        if name in arguments:
            arguments[name] = json_format.ParseDict(arguments[name], prediction_pb2.SeldonMessage())
    return arguments


def in_one_form(response):
    """Some methods give the JSON of the reply instead of a message; JSON writes the same message in several ways."""
    if isinstance(response, dict):
        response = json_format.ParseDict(response, prediction_pb2.SeldonMessage())
    return response and json_format.MessageToDict(response)


def answer(call, addresses):
    transport = call["transport"]
    client = SeldonClient(
        gateway="ambassador",
        gateway_endpoint=addresses[transport],
        microservice_endpoint=addresses[transport],
        transport=transport,
        deployment_name="iris",
        namespace="",
    )
    done = getattr(client, call["method"])(**arguments_of(call["arguments"]))
    return {"success": done.success, "message": done.msg, "response": in_one_form(done.response)}


question = json.load(sys.stdin)
json.dump([answer(call, question) for call in question["calls"]], sys.stdout)
