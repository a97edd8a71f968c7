"""All gRPC services on a running server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from penstock.proto import Limits
from penstock.proto import open_inference_pb2 as oi
from penstock.proto import prediction_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from ..conftest import Gate, Served


def call(
    channel: grpc.Channel, path: str, request: bytes | Message = b"", reply: Any = pb.SeldonMessage, **options: Any
) -> Any:
    body = request if isinstance(request, bytes) else request.SerializeToString()
    return reply.FromString(channel.unary_unary(path, None, None)(body, **options))


def failure(channel: grpc.Channel, path: str, request: bytes | Message = b"", **options: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, path, request, **options)
    return caught.value.code().name, caught.value.details() or ""


def until(condition: Callable[[], bool]) -> None:
    """Wait for what the service does; the test's time-out ends it where it never comes."""
    while not condition():
        time.sleep(0.01)


def tensor(*values: float) -> pb.SeldonMessage:
    message = pb.SeldonMessage()
    message.data.tensor.shape.extend([1, len(values)])
    message.data.tensor.values.extend(values)
    return message


PREDICT = "/seldon.protos.Seldon/Predict"


@pytest.mark.parametrize("service", ["Seldon", "Model"])
def test_predict(channel: grpc.Channel, service: str) -> None:
    answer = call(channel, f"/seldon.protos.{service}/Predict", tensor(1, 2))
    assert list(answer.data.tensor.values) == [1, 2]
    assert answer.meta.puid


def test_puid_comes_in_the_metadata(channel: grpc.Channel) -> None:
    assert call(channel, PREDICT, tensor(1), metadata=[("seldon-puid", "p1")]).meta.puid == "p1"


@pytest.mark.parametrize("service", ["Seldon", "Model", "Generic", "Router"])
def test_feedback(channel: grpc.Channel, service: str) -> None:
    answer = call(channel, f"/seldon.protos.{service}/SendFeedback", pb.Feedback(request=tensor(1), reward=0.0))
    assert answer.WhichOneof("data_oneof") == "data"


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("Generic/TransformInput", [2, 4]),
        ("Transformer/TransformInput", [2, 4]),
        ("Generic/TransformOutput", [0.5, 1]),
        ("OutputTransformer/TransformOutput", [0.5, 1]),
        ("Generic/Route", [1]),
        ("Router/Route", [1]),
    ],
)
def test_units(channel: grpc.Channel, path: str, values: list[float]) -> None:
    assert list(call(channel, f"/seldon.protos.{path}", tensor(1, 2)).data.tensor.values) == values


@pytest.mark.parametrize("service", ["Generic", "Combiner"])
def test_aggregate(channel: grpc.Channel, service: str) -> None:
    messages = pb.SeldonMessageList(seldonMessages=[tensor(1, 2), tensor(3, 4)])
    assert list(call(channel, f"/seldon.protos.{service}/Aggregate", messages).data.tensor.values) == [4, 6]


def test_metadata(named_channel: grpc.Channel) -> None:
    about = call(named_channel, "/seldon.protos.Model/Metadata", reply=pb.SeldonModelMetadata)
    assert about.name == "named"
    assert about == call(named_channel, "/seldon.protos.Seldon/ModelMetadata", reply=pb.SeldonModelMetadata)
    graph = call(named_channel, "/seldon.protos.Seldon/GraphMetadata", reply=pb.SeldonGraphMetadata)
    assert list(graph.models) == ["named"]


def test_what_the_caller_did_wrong(channel: grpc.Channel) -> None:
    code, text = failure(channel, PREDICT, b"\xff\xff")
    assert (code, text.partition(": ")[0]) == ("INVALID_ARGUMENT", "BAD_WIRE")
    wrong = tensor(1, 2)
    wrong.data.tensor.shape[1] = 3
    code, text = failure(channel, PREDICT, wrong)
    assert (code, text.partition(": ")[0]) == ("INVALID_ARGUMENT", "TENSOR_SHAPE_MISMATCH")
    assert failure(channel, "/seldon.protos.Model/Metadata", b"\xff")[0] == "INVALID_ARGUMENT"
    assert failure(channel, "/seldon.protos.Seldon/Nope")[0] == "UNIMPLEMENTED"


def test_what_the_model_raised_stays_in_the_log(channel: grpc.Channel) -> None:
    code, text = failure(channel, PREDICT, pb.SeldonMessage(strData="boom"))
    assert code == "INTERNAL"
    assert text
    assert "swordfish" not in text


def test_the_clients_deadline_reaches_the_service(channel: grpc.Channel, gate: Gate) -> None:
    assert failure(channel, PREDICT, pb.SeldonMessage(strData=gate.text), timeout=0.1)[0] == "DEADLINE_EXCEEDED"


def test_the_services_deadline_holds_without_one_of_the_client(serve: Callable[..., Served], gate: Gate) -> None:
    with grpc.insecure_channel(serve("units", deadline=0.2).grpc) as channel:
        code, text = failure(channel, PREDICT, pb.SeldonMessage(strData=gate.text))
    assert (code, text.partition(": ")[0]) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")


def test_too_large(serve: Callable[..., Served]) -> None:
    with grpc.insecure_channel(serve("units", limits=Limits(message_bytes=100_000)).grpc) as channel:
        code, text = failure(channel, PREDICT, pb.SeldonMessage(strData="x" * 200_000))
        assert code == "RESOURCE_EXHAUSTED"
        assert "100000" in text
        assert call(channel, PREDICT, pb.SeldonMessage(strData="x" * 90_000)).strData


def test_messages_above_grpcs_own_limit_pass(units: Served) -> None:
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(units.grpc, options=options) as channel:
        assert len(call(channel, PREDICT, pb.SeldonMessage(binData=bytes(9_000_000))).binData) == 9_000_000


def infer_request(**changes: str) -> oi.ModelInferRequest:
    fields: dict[str, Any] = {"model_name": "named", "id": "42"} | changes
    request = oi.ModelInferRequest(**fields)
    a = request.inputs.add(name="a", datatype="FP32", shape=[1, 2])
    a.contents.fp32_contents.extend([1, 2])
    b = request.inputs.add(name="b", datatype="INT64", shape=[1, 1])
    b.contents.int64_contents.append(-(1 << 60) - 1)
    s = request.inputs.add(name="s", datatype="BYTES", shape=[1, 1])
    s.contents.bytes_contents.append("ü".encode())
    return request


INFER = "/inference.GRPCInferenceService/ModelInfer"


def test_infer_with_typed_contents_is_answered_raw(named_channel: grpc.Channel) -> None:
    answer = call(named_channel, INFER, infer_request(), oi.ModelInferResponse)
    assert (answer.model_name, answer.model_version, answer.id) == ("named", "3", "42")
    raw = {output.name: raw for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)}
    np.testing.assert_array_equal(np.frombuffer(raw["y"], np.float32), [2, 4])
    np.testing.assert_array_equal(np.frombuffer(raw["n"], np.int64), [-(1 << 60) - 1])
    assert raw["t"] == b"\x02\x00\x00\x00" + "ü".encode()


def test_infer_with_raw_contents_and_chosen_outputs(named_channel: grpc.Channel) -> None:
    request = infer_request()
    for item in request.inputs:
        item.ClearField("contents")
    request.raw_input_contents.extend([np.ones(2, np.float32).tobytes(), bytes(8), bytes(4)])
    request.outputs.add(name="y")
    answer = call(named_channel, INFER, request, oi.ModelInferResponse)
    assert [output.name for output in answer.outputs] == ["y"]
    np.testing.assert_array_equal(np.frombuffer(answer.raw_output_contents[0], np.float32), [2, 2])


def test_infer_errors(named_channel: grpc.Channel) -> None:
    assert failure(named_channel, INFER, infer_request(model_name="other"))[0] == "NOT_FOUND"
    assert failure(named_channel, INFER, infer_request(model_version="9"))[0] == "NOT_FOUND"
    assert failure(named_channel, INFER, b"\xff")[0] == "INVALID_ARGUMENT"


def test_inference_server_tells_about_itself(named_channel: grpc.Channel) -> None:
    service = "/inference.GRPCInferenceService/"
    assert call(named_channel, service + "ServerLive", reply=oi.ServerLiveResponse).live
    assert call(named_channel, service + "ServerReady", reply=oi.ServerReadyResponse).ready
    ready = oi.ModelReadyRequest(name="named")
    assert call(named_channel, service + "ModelReady", ready, oi.ModelReadyResponse).ready
    server = call(named_channel, service + "ServerMetadata", reply=oi.ServerMetadataResponse)
    assert list(server.extensions) == ["binary_tensor_data"]
    about = call(
        named_channel, service + "ModelMetadata", oi.ModelMetadataRequest(name="named"), oi.ModelMetadataResponse
    )
    assert (about.inputs[0].name, about.inputs[0].datatype, list(about.inputs[0].shape)) == ("a", "FP32", [-1, 2])

    index = call(
        named_channel, service + "RepositoryIndex", oi.RepositoryIndexRequest(ready=True), oi.RepositoryIndexResponse
    )
    assert [(model.name, model.version, model.state) for model in index.models] == [("named", "3", "READY")]


def test_health(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    serving = health_pb2.HealthCheckResponse.SERVING
    for name in ("", "seldon.protos.Seldon", "inference.GRPCInferenceService"):
        assert stub.Check(health_pb2.HealthCheckRequest(service=name)).status == serving
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="nope"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert stub.List(health_pb2.HealthListRequest()).statuses[""].status == serving
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="nope"))
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


def test_reflection_describes_every_service(channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)

    def ask(**request: str) -> reflection_pb2.ServerReflectionResponse:
        return next(stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(**request)])))

    names = [entry.name for entry in ask(list_services="").list_services_response.service]
    assert {"seldon.protos.Seldon", "inference.GRPCInferenceService", "grpc.health.v1.Health"} <= set(names)
    for name in names:
        files = ask(file_containing_symbol=name).file_descriptor_response.file_descriptor_proto
        described = [FileDescriptorProto.FromString(file) for file in files]
        assert any(name == f"{file.package}.{service.name}" for file in described for service in file.service)


def test_a_call_that_the_client_cancels_leaves_the_server_well(
    channel: grpc.Channel, units: Served, gate: Gate
) -> None:
    pending = channel.unary_unary(PREDICT, None, None).future(pb.SeldonMessage(strData=gate.text).SerializeToString())
    until(lambda: units.service.metrics.in_flight > 0)
    pending.cancel()  # type: ignore[no-untyped-call]  # so are the stubs
    with pytest.raises(grpc.FutureCancelledError):
        pending.result()
    until(lambda: units.service.metrics.in_flight == 0)
    gate.open()
    assert call(channel, PREDICT, tensor(1)).data.tensor.values
