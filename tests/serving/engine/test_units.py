from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penstock.proto import (
    DeadlineExceeded,
    Feedback,
    Kind,
    Message,
    Meta,
    ModelError,
    ModelFailure,
    Payload,
    PayloadError,
    RequestError,
    write_feedback,
    write_message,
    write_message_list,
)
from penstock.proto import prediction_pb2 as pb
from penstock.serving.doors.rpc import Call
from penstock.serving.doors.seldon_grpc import seldon_rpc_door

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Start

    Wrapper = Callable[..., Path]

ROWS = np.array([[1.0, 2.0], [3.0, 4.0]])

UNITS = """
import numpy as np
class SeldonWrapper:
    def transform_input(self, X, names, meta=None): return np.asarray(X) + 1
    def feature_names(self): return ["one", "two"]
    def transform_output(self, X, names): return {"names": names, "sum": np.asarray(X).sum()}
    def route(self, X, names): return int(np.asarray(X)[0][0])
    def aggregate(self, features, names): return np.mean(features, axis=0)
    def send_feedback(self, features, feature_names, reward, truth, routing=None):
        self.last = [features.tolist(), list(feature_names), reward, truth.tolist(), routing]
    def health_status(self): return {"last": self.last}
    def tags(self): return {"unit": 1}
"""


def asked(value: Any = ROWS, names: tuple[str, ...] = (), **meta: Any) -> Message:
    return Message(Payload(Kind.NDARRAY, value, names), Meta(**meta))


async def test_transforming(wrapper: Wrapper, start: Start) -> None:
    service = await start(wrapper(UNITS))
    way_in = await service.transform_input(asked(puid="p"))
    assert way_in.payload is not None
    assert (way_in.payload.value.tolist(), way_in.payload.names) == ([[2, 3], [4, 5]], ("one", "two"))
    assert (way_in.meta.puid, way_in.meta.tags) == ("p", {"unit": 1})
    way_out = await service.transform_output(asked(names=("a", "b")))
    assert way_out.payload is not None
    assert way_out.payload.value == {"names": ["a", "b"], "sum": 10.0}


async def test_routing(wrapper: Wrapper, start: Start) -> None:
    service = await start(wrapper(UNITS), name="router")
    reply = await service.route(asked())
    assert reply.payload is not None
    assert reply.payload.value.tolist() == [[1]]
    assert reply.meta.routing == {"router": 1}


async def test_a_route_is_a_number(wrapper: Wrapper, start: Start) -> None:
    service = await start(wrapper("class SeldonWrapper:\n    def route(self, X, names): return True"))
    with pytest.raises(ModelError, match="number of a child, not True"):
        await service.route(asked())


async def test_aggregating(wrapper: Wrapper, start: Start) -> None:
    service = await start(wrapper(UNITS), name="mean")
    metas: list[dict[str, Any]] = [
        {"puid": "first", "tags": {"a": 1, "b": 1}},
        {"puid": "second", "tags": {"b": 2}, "request_path": {"x": "y"}},
    ]
    reply = await service.aggregate([asked(ROWS, **metas[0]), asked(ROWS * 3, **metas[1])])
    assert reply.payload is not None
    assert reply.payload.value.tolist() == (ROWS * 2).tolist()
    assert reply.meta == Meta("first", {"a": 1, "b": 2, "unit": 1}, {}, {"mean": "mean", "x": "y"})
    with pytest.raises(PayloadError, match="no messages"):
        await service.aggregate([])


async def test_feedback_reaches_the_model(wrapper: Wrapper, start: Start) -> None:
    service = await start(wrapper(UNITS), name="unit")
    routing = Message(meta=Meta(routing={"unit": 3}))
    reply = await service.feedback(Feedback(asked(names=("a", "b"), puid="p"), routing, 0.5, asked(ROWS[:1])))
    assert reply.payload is not None
    assert (reply.payload.value.tolist(), reply.meta.puid) == ([], "p")
    health = (await service.health()).payload
    assert health is not None
    assert health.value == {"last": [ROWS.tolist(), ["a", "b"], 0.5, ROWS[:1].tolist(), 3]}
    assert "penstock_feedback_reward_total 0.5" in service.metrics.exposition().decode()


async def test_a_model_without_the_method(wrapper: Wrapper, start: Start) -> None:
    service = await start(wrapper("class SeldonWrapper:\n    def predict(self, X): return X"))
    for call in (service.transform_input, service.transform_output):
        reply = await call(asked())
        assert reply.payload is not None
        assert reply.payload.value.tolist() == ROWS.tolist()
    for refused in (service.route(asked()), service.aggregate([asked()])):
        with pytest.raises(RequestError, match="no method"):
            await refused
    reply = await service.feedback(Feedback(asked()))
    assert reply.payload is not None
    assert reply.payload.value.tolist() == []
    assert (await service.health()).payload is not None


async def test_the_callers_deadline_is_every_methods(wrapper: Wrapper, start: Start) -> None:
    service = await start(wrapper(UNITS))
    message = write_message(asked())
    bodies = {
        "Generic/TransformInput": message,
        "Generic/TransformOutput": message,
        "Router/Route": message,
        "Combiner/Aggregate": write_message_list([asked()]),
        "Model/SendFeedback": write_feedback(Feedback(asked())),
    }
    methods = seldon_rpc_door(service, service.settings).methods
    for method, body in bodies.items():
        with pytest.raises(DeadlineExceeded, match="before the model was asked"):
            await methods[f"/seldon.protos.{method}"](Call(body, (), 0.0))


async def test_a_transformer_has_no_predict(wrapper: Wrapper, start: Start) -> None:
    service = await start(wrapper(UNITS))
    with pytest.raises(RequestError, match="no method predict"):
        await service.predict(asked())


async def test_a_raw_method_gets_a_dict(wrapper: Wrapper, start: Start) -> None:
    source = """
class SeldonWrapper:
    def predict_raw(self, msg):
        return {"strData": str(msg["data"]["ndarray"]), "meta": {"tags": {"raw": True}}}
"""
    service = await start(wrapper(source))
    reply = await service.predict(asked(), puid="p")
    assert reply.payload is not None
    assert reply.payload.value == "[[1.0, 2.0], [3.0, 4.0]]"
    assert (reply.meta.puid, reply.meta.tags) == ("p", {"raw": True})


async def test_a_raw_method_gets_the_protobuf_message_that_it_names(wrapper: Wrapper, start: Start) -> None:
    source = """
from penstock.proto import prediction_pb2 as pb
class SeldonWrapper:
    def predict_raw(self, msg: pb.SeldonMessage) -> pb.SeldonMessage:
        return pb.SeldonMessage(strData=str(msg.data.ndarray[1][1]))
    def aggregate_raw(self, msgs: pb.SeldonMessageList):
        return msgs.seldonMessages[1]
    def send_feedback_raw(self, feedback: pb.Feedback):
        return {"strData": str(feedback.reward)}
"""
    service = await start(wrapper(source))
    reply = await service.predict(asked())
    assert reply.payload is not None
    assert reply.payload.value == "4.0"
    second = await service.aggregate([asked(), asked(ROWS * 2)])
    assert second.payload is not None
    assert second.payload.value.tolist() == (ROWS * 2).tolist()
    answer = await service.feedback(Feedback(asked(), reward=0.25))
    assert answer.payload is not None
    assert answer.payload.value == "0.25"
    assert pb.SeldonMessage.DESCRIPTOR.full_name == "seldon.protos.SeldonMessage"


@pytest.mark.parametrize("returned", ["5", "{'data': {'tensor': {'shape': [3], 'values': [1]}}}"])
async def test_a_raw_method_that_returns_no_message_failed(returned: str, wrapper: Wrapper, start: Start) -> None:
    service = await start(wrapper(f"class SeldonWrapper:\n    def predict_raw(self, msg): return {returned}"))
    with pytest.raises(ModelFailure):
        await service.predict(asked())
