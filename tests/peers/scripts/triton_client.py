"""Calls a service with NVIDIA's ``tritonclient``, gRPC and HTTP. JSON on standard input, JSON on standard output.

In: ``{"grpc": "host:port", "http": "host:port", "model": name, "calls": [{"transport": "grpc" or "http", "binary":
whether HTTP sends and wants raw bytes, "inputs": [{"name", "datatype", "shape", "values"}], "outputs": [names]}]}``.
Values of BYTES are text. Out: for each call ``{"outputs": {name: {"datatype", "shape", "values"}}}`` or ``{"error":
text}``, and before them what the service says of itself: ``{"live", "ready", "model_ready", "metadata"}`` of both.
"""

import json
import sys

import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from google.protobuf import json_format
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

question = json.load(sys.stdin)
clients = {
    "grpc": over_grpc.InferenceServerClient(question["grpc"]),
    "http": over_http.InferenceServerClient(question["http"], network_timeout=30.0),
}
modules = {"grpc": over_grpc, "http": over_http}


def array_of(given):
    if given["datatype"] == "BYTES":
        return np.array([text.encode() for text in given["values"]], dtype=object).reshape(given["shape"])
    return np.array(given["values"], dtype=triton_to_np_dtype(given["datatype"])).reshape(given["shape"])


def input_of(given, call):
    made = modules[call["transport"]].InferInput(given["name"], given["shape"], given["datatype"])
    if call["transport"] == "http":
        made.set_data_from_numpy(array_of(given), binary_data=call["binary"])
    else:
        made.set_data_from_numpy(array_of(given))
    return made


def output_of(name, call):
    if call["transport"] == "http":
        return over_http.InferRequestedOutput(name, binary_data=call["binary"])
    return over_grpc.InferRequestedOutput(name)


def described(result, name):
    array = result.as_numpy(name)
    output = result.get_output(name)
    datatype = output["datatype"] if isinstance(output, dict) else output.datatype
    values = [value.decode() if isinstance(value, bytes) else value for value in array.reshape(-1).tolist()]
    return {"datatype": datatype, "shape": list(array.shape), "values": values}


def answer(call):
    try:
        result = clients[call["transport"]].infer(
            question["model"],
            [input_of(given, call) for given in call["inputs"]],
            outputs=[output_of(name, call) for name in call["outputs"]],
            request_id="7",
        )
    except InferenceServerException as error:
        return {"error": error.message(), "status": error.status()}
    return {"outputs": {name: described(result, name) for name in call["outputs"]}}


def about(transport):
    client = clients[transport]
    metadata = client.get_model_metadata(question["model"])
    server = client.get_server_metadata()
    if transport == "grpc":
        metadata, server = json_format.MessageToDict(metadata), json_format.MessageToDict(server)
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(question["model"]),
        "model": metadata,
        "server": server,
    }


report = {
    "about": {transport: about(transport) for transport in clients},
    "answers": [answer(call) for call in question["calls"]],
}
json.dump(report, sys.stdout)
