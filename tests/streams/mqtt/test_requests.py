"""What a service answers, and to whom."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penstock.proto import Kind, Payload, encode
from penstock.streams.mqtt import Client

from .conftest import listener, total, until, user_properties, window

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.deploy.mqtt import Broker

    from .conftest import Case, Serving


async def test_the_tutorials_request_gets_the_tutorials_reply(local: Broker, case: Case, serving: Serving) -> None:
    async with serving(case.settings()), Client(case.client_settings()) as client:
        reply = await client.ask(window(1.5))
    assert reply.topic == case.replies("lstm")
    assert reply.payload == b'{"LSTM": %s}' % str(total(1.5)).encode()
    assert (reply.error, reply.attempts) == ("", 1)


async def test_an_mqtt_3_client_without_any_property_is_answered(local: Broker, case: Case, serving: Serving) -> None:
    async with serving(case.settings()), listener(local.port, version=4) as somebody:
        await somebody.listen(case.replies("lstm"))
        for qos in (0, 1, 2):
            await somebody.send(case.requests("lstm"), window(float(qos)), qos=qos)
        await somebody.until(3)
    assert somebody.payloads == [{"LSTM": total(qos)} for qos in (0.0, 1.0, 2.0)]


async def test_each_tenant_has_its_own_topics_whichever_pair_it_is_of(
    local: Broker, case: Case, serving: Serving
) -> None:
    name = case.name
    pairs = [
        {"requests": f"{name}/in/+", "replies": f"{name}/out/+"},
        {"requests": f"{name}/special", "replies": f"{name}/special/answers"},
    ]
    async with serving(case.settings(queue_info=pairs)), listener(local.port) as somebody:
        await somebody.listen(f"{name}/out/#", f"{name}/special/answers")
        for number, topic in enumerate((f"{name}/in/a", f"{name}/in/b", f"{name}/special")):
            await somebody.send(topic, window(float(number)))
        await somebody.until(3)
    assert dict(zip((str(message.topic) for message in somebody.heard), somebody.payloads, strict=True)) == {
        f"{name}/out/a": {"LSTM": total(0.0)},
        f"{name}/out/b": {"LSTM": total(1.0)},
        f"{name}/special/answers": {"LSTM": total(2.0)},
    }


async def test_several_models_in_one_service_have_a_key_each(local: Broker, case: Case, serving: Serving) -> None:
    models = [{"name": "LSTM", "path": str(case.model)}, {"name": "ANN", "path": str(case.model)}]
    async with serving(case.settings(model=models)), Client(case.client_settings()) as client:
        replies = await asyncio.gather(*(client.ask(window(float(number))) for number in range(20)))
        bad = await client.ask(window(666.0))
    assert [json.loads(reply.payload) for reply in replies] == [
        {"LSTM": total(float(number)), "ANN": total(float(number))} for number in range(20)
    ]
    assert bad.error == "MODEL_FAILED"


ECHO = """
class SeldonWrapper:
    def predict(self, X, features_names=None):
        return X
"""


@pytest.mark.parametrize(
    ("request_form", "reply", "payload", "answer"),
    [
        ({"format": "ndarray"}, "ndarray", b"[[1, 2], [3, 4]]", b"[[1,2],[3,4]]"),
        ({"format": "ndarray"}, "ndarray", b"[1, 2.5]", b"[1.0,2.5]"),
        ({"format": "tensor"}, "tensor", b'{"shape": [1, 2], "values": [1, 2]}', b'{"shape":[1,2],"values":[1.0,2.0]}'),
        ({"format": "tftensor"}, "ndarray", None, b"[[0.5,0.25]]"),
        ({"format": "jsonData", "features": "/at/x"}, "jsonData", b'{"at": {"x": {"y": "z"}}}', b'{"y":"z"}'),
        ({"format": "jsonData"}, "jsonData", b'{"y": [1, null]}', b'{"y":[1,null]}'),
        ({"features": ["a", "b"]}, "ndarray", b'{"a": 1.5, "b": 2, "c": "x"}', b"[1.5,2.0]"),
        ({"format": "strData"}, "strData", "Grüße".encode(), "Grüße".encode()),
        ({"format": "binData"}, "binData", b"\x00\xff", b"\x00\xff"),
        ({"format": "binData", "encoding": "base64"}, "binData", b"AP8=", b"\x00\xff"),
    ],
)
async def test_requests_and_replies_have_any_kind(
    local: Broker,
    case: Case,
    serving: Serving,
    tmp_path: Path,
    request_form: dict[str, Any],
    reply: str,
    payload: bytes | None,
    answer: bytes,
) -> None:
    (tmp_path / "echo").mkdir()
    (tmp_path / "echo" / "SeldonWrapper.py").write_text(ECHO)
    model = {"name": "echo", "path": "echo"}
    if payload is None:
        payload = encode(Payload(Kind.TFTENSOR, np.array([[0.5, 0.25]])))
    settings = case.settings(request=request_form, reply={"format": reply}, model=model)
    async with serving(settings), Client(case.client_settings()) as client:
        got = await client.ask(payload)
    assert got.error == "", got.message
    assert got.payload == answer


async def test_one_bad_request_among_many_is_told_alone(local: Broker, case: Case, serving: Serving) -> None:
    bad = {7: b"{", 9: b'{"norm_1": 1}', 20: window(666.0), 33: b"", 40: window()[:-1] + b', "norm_2": [1, 2]}'}
    settings = case.settings(batch={"wait": 1.5})  # within it all of them come, also on a busy machine
    async with serving(settings) as worker, Client(case.client_settings(concurrency=64)) as client:
        replies = await asyncio.gather(*(client.ask(bad.get(n, window(float(n)))) for n in range(64)))
        calls = worker.metrics.totals()["calls"]
    assert {n: reply.error for n, reply in enumerate(replies) if reply.error} == {
        7: "INVALID_JSON",
        9: "MISSING_FIELD",
        20: "MODEL_FAILED",
        33: "INVALID_JSON",
        40: "MODEL_INPUT",
    }
    right = {n: json.loads(reply.payload) for n, reply in enumerate(replies) if not reply.error}
    assert right == {n: {"LSTM": total(float(n))} for n in range(64) if n not in bad}
    assert calls <= 20, "halving finds one bad window of 60 in 12 calls"
    error = json.loads(replies[9].payload)
    assert error == {"error": {"code": "MISSING_FIELD", "message": "the record has no /norm_2"}}


async def test_a_request_of_another_size_is_no_window(local: Broker, case: Case, serving: Serving) -> None:
    settings = case.settings(request={"format": "ndarray"})
    async with serving(settings), Client(case.client_settings()) as client:
        payloads = b"[1, 2, 3]", b"[[1], [2], [3], [4], [5], [6]]", b"[[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]]"
        replies = [await client.ask(payload) for payload in payloads]
    assert [reply.error for reply in replies] == ["MODEL_INPUT", "", "MODEL_INPUT"]
    assert replies[1].payload == b'{"LSTM": 21.0}'


async def test_properties_come_back(local: Broker, case: Case, serving: Serving) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with serving(case.settings()), listener(local.port) as somebody:
        await somebody.listen(f"{case.replies('lstm')}/#")
        await somebody.send(
            case.requests("lstm"),
            window(),
            ResponseTopic=f"{case.replies('lstm')}/mine",
            CorrelationData=b"\x00\xff",
            UserProperty=[("puid", "p1"), ("traceparent", trace), ("tracestate", "vendor=1")],
        )
        await somebody.until(1)
    reply = somebody.heard[0]
    told = user_properties(reply)
    assert str(reply.topic) == f"{case.replies('lstm')}/mine"
    assert getattr(reply.properties, "CorrelationData", b"") == b"\x00\xff"
    assert getattr(reply.properties, "ContentType", "") == "application/json"
    assert told["puid"] == "p1"
    assert told["tracestate"] == "vendor=1"
    assert told["traceparent"].split("-")[1] == trace.split("-")[1]
    assert told["traceparent"] != trace, "the reply's parent is the span of the call"
    assert told["penstock-model"] == "sums"
    assert float(told["penstock-elapsed-ms"]) > 0


@pytest.mark.parametrize("wanted", ["{name}/out/other", "elsewhere", "{name}/out/lstmx", "{name}/out/lstm/../other"])
async def test_a_reply_never_goes_to_another_tenant(local: Broker, case: Case, serving: Serving, wanted: str) -> None:
    async with serving(case.settings()), listener(local.port) as somebody:
        await somebody.listen(f"{case.name}/out/#", "elsewhere")
        topic = wanted.format(name=case.name)
        await somebody.send(case.requests("lstm"), window(), ResponseTopic=topic, CorrelationData=b"1")
        await somebody.until(1)
    own = topic.startswith(f"{case.replies('lstm')}/")
    assert str(somebody.heard[0].topic) == (topic if own else case.replies("lstm"))
    assert ("error" in somebody.payloads[0]) != own


async def test_a_request_that_is_too_large_is_told_so(local: Broker, case: Case, serving: Serving) -> None:
    async with serving(case.settings(max_bytes=200)), Client(case.client_settings()) as client:
        assert (await client.ask(b" " * 201)).error == "TOO_LARGE"
        assert (await client.ask(window())).error == ""


async def test_what_nobody_waits_for_any_more_is_not_asked(local: Broker, case: Case, serving: Serving) -> None:
    async with serving(case.settings(batch={"wait": 1.5})) as worker, listener(local.port) as somebody:
        await somebody.listen(case.replies("lstm"))
        await somebody.send(case.requests("lstm"), window(1.0), MessageExpiryInterval=1)
        await somebody.send(case.requests("lstm"), window(2.0), MessageExpiryInterval=60)
        await somebody.until(1)
        await until(lambda: worker.metrics.expired._value.get() == 1)
    assert somebody.payloads == [{"LSTM": total(2.0)}]


async def test_a_retained_request_is_not_answered_at_each_start(local: Broker, case: Case, serving: Serving) -> None:
    async with listener(local.port) as somebody:
        await somebody.listen(case.replies("lstm"))
        await somebody.send(case.requests("lstm"), window(1.0), retain=True)
        async with serving(case.settings(shared=False)):
            await somebody.send(case.requests("lstm"), window(2.0))
            await somebody.until(1)
    assert somebody.payloads == [{"LSTM": total(2.0)}]


async def test_the_status_topic_tells_who_is_there(local: Broker, case: Case, serving: Serving) -> None:
    async with listener(local.port) as somebody:
        await somebody.listen(f"status/{case.name}/+")
        async with serving(case.settings(), "a"):
            await somebody.until(1)
        await somebody.until(2)
    assert [(each["state"], each["models"]) for each in somebody.payloads] == [
        ("online", ["LSTM"]),
        ("offline", ["LSTM"]),
    ]
    assert str(somebody.heard[0].topic) == f"status/{case.name}/a"
