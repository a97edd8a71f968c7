from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penstock.proto import (
    Kind,
    Message,
    Meta,
    Metric,
    ModelError,
    ModelFailure,
    ModelInputError,
    ModelLoadError,
    Payload,
    PenstockError,
    RequestError,
)
from penstock.proto.inference import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Start

    Wrapper = Callable[..., Path]

ROWS = np.array([[1.0, 2.0], [3.0, 4.0]])


def asked(value: Any = ROWS, kind: Kind = Kind.NDARRAY, names: tuple[str, ...] = (), **meta: Any) -> Message:
    return Message(Payload(kind, value, names), Meta(**meta))


def model(body: str) -> str:
    lines = [f"    {line}" for line in body.strip("\n").splitlines()]
    return "\n".join(["import numpy as np", "class SeldonWrapper:", *lines])


async def value_of(service: Any, message: Message | None = None) -> Any:
    return (await service.predict(asked() if message is None else message)).payload.value


@pytest.mark.parametrize(
    ("signature", "got"),
    [
        ("self, X", "[2, None, None]"),
        ("self, X, features_names", "[2, ['a', 'b'], None]"),
        ("self, X, features_names=None, meta=None", "[2, ['a', 'b'], 'p']"),
        ("self, X, names, *, meta", "[2, ['a', 'b'], 'p']"),
        ("self, X, features_names, **kwargs", "[2, ['a', 'b'], 'p']"),
        ("self, X, meta", "[2, None, 'p']"),
        ("self, *args", "[2, ['a', 'b'], None]"),
    ],
)
async def test_predict_is_called_as_its_signature_says(
    signature: str, got: str, wrapper: Wrapper, start: Start
) -> None:
    body = f"""
def predict({signature}):
    seen = dict(locals()); seen.update(seen.pop("kwargs", {{}}))
    args = seen.get("args") or (seen.get("X"), seen.get("features_names", seen.get("names")))
    meta = seen.get("meta")
    return str([len(args[0]), args[1], meta and meta["puid"]])
"""
    service = await start(wrapper(model(body)))
    assert await value_of(service, asked(names=("a", "b"), puid="p")) == got


async def test_a_type_error_in_the_model_does_not_run_it_twice(
    wrapper: Wrapper, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    body = """
calls = 0
def predict(self, X, features_names=None, meta=None):
    SeldonWrapper.calls += 1
    raise TypeError("secret detail")
def tags(self):
    return {}
def health_status(self):
    return str(self.calls)
"""
    service = await start(wrapper(model(body)))
    with pytest.raises(ModelFailure) as caught:
        await service.predict(asked())
    assert "secret" not in caught.value.message
    assert "secret detail" in caplog.text
    assert caught.value.message.rsplit(" ", 1)[1] in caplog.text
    health = (await service.health()).payload
    assert health is not None
    assert health.value == "1"


@pytest.mark.parametrize(
    ("returned", "request_kind", "kind", "value"),
    [
        ("'text'", Kind.NDARRAY, Kind.STR_DATA, "text"),
        ("b'bytes'", Kind.TENSOR, Kind.BIN_DATA, b"bytes"),
        ("{'a': np.float32(1.5), 'b': np.arange(2)}", Kind.NDARRAY, Kind.JSON_DATA, {"a": 1.5, "b": [0, 1]}),
        ("np.array([[1, 2]])", Kind.NDARRAY, Kind.NDARRAY, [[1, 2]]),
        ("np.array([[1, 2]])", Kind.TENSOR, Kind.TENSOR, [[1.0, 2.0]]),
        ("np.array([[1, 2]])", Kind.TFTENSOR, Kind.TFTENSOR, [[1, 2]]),
        ("[[1.5, 2]]", Kind.STR_DATA, Kind.TENSOR, [[1.5, 2.0]]),
        ("np.array([['a', 'b']])", Kind.TENSOR, Kind.NDARRAY, [["a", "b"]]),
        ("[['a', 1.5]]", Kind.NDARRAY, Kind.NDARRAY, [["a", 1.5]]),
        ("np.array([True, False])", Kind.TENSOR, Kind.NDARRAY, [True, False]),
        ("np.array(5)", Kind.NDARRAY, Kind.NDARRAY, [5]),
        ("[]", Kind.NDARRAY, Kind.NDARRAY, []),
    ],
)
async def test_the_kind_follows_the_type_returned(
    returned: str, request_kind: Kind, kind: Kind, value: Any, wrapper: Wrapper, start: Start
) -> None:
    service = await start(wrapper(model(f"def predict(self, X, names):\n    return {returned}")))
    sent = "text" if request_kind is Kind.STR_DATA else ROWS
    reply = (await service.predict(asked(sent, request_kind))).payload
    assert reply is not None
    got = reply.value.tolist() if isinstance(reply.value, np.ndarray) else reply.value
    assert (reply.kind, got) == (kind, value)


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("None", "returned None"),
        ("5", "returned a int"),
        ("object()", "returned a object"),
        ("{'a': object()}", "which JSON has not"),
        ("np.array(['2020-01-01'], 'datetime64[D]')", "datetime64"),
        ("np.array([2**53 + 1])", "no exact|none that is exact"),
    ],
)
async def test_a_result_that_cannot_be_sent_is_the_models_fault(
    returned: str, told: str, wrapper: Wrapper, start: Start
) -> None:
    service = await start(wrapper(model(f"def predict(self, X, names):\n    return {returned}")))
    with pytest.raises(ModelError, match=told) as caught:
        await service.predict(asked(kind=Kind.TENSOR))
    assert caught.value.http_status == 500


@pytest.mark.parametrize(
    ("extra", "names"),
    [
        ("", ("t:0", "t:1")),
        ("def class_names(self): return ['yes', 'no']", ("yes", "no")),
        ("class_names = ['yes', 'no']", ("yes", "no")),
    ],
)
async def test_names_of_the_columns(extra: str, names: tuple[str, ...], wrapper: Wrapper, start: Start) -> None:
    body = f"{extra}\ndef predict(self, X, names):\n    return X if len(X) > 1 else X[0]"
    service = await start(wrapper(model(body)))
    table, flat = [(await service.predict(asked(rows))).payload for rows in (ROWS, ROWS[:1])]
    assert table is not None
    assert flat is not None
    assert (table.names, flat.names) == (names, ())


async def test_meta_of_the_reply(wrapper: Wrapper, start: Start) -> None:
    body = """
def predict(self, X, names):
    return Response()
def tags(self):
    return {"model": "m", "shared": "model", "n": np.int64(3)}
def metrics(self):
    return [{"type": "COUNTER", "key": "rows", "value": len("xx")}]
"""
    response = """
class Response:
    data = [[1]]
    tags = {"shared": "response"}
    metrics = [{"type": "GAUGE", "key": "g", "value": -1.5, "tags": {"a": 1}}]
"""
    service = await start(wrapper(response + model(body)), name="unit", version="2")
    sent = Metric("in", "TIMER", 5.0)
    tags = {"shared": "request", "own": [1]}
    reply = await service.predict(
        asked(puid="p", tags=tags, request_path={"before": "x:1"}, metrics=(sent,), routing={"r": 1})
    )
    assert reply.meta == Meta(
        puid="p",
        tags={"shared": "response", "own": [1], "model": "m", "n": 3},
        request_path={"unit": "unit:2", "before": "x:1"},
        metrics=(sent, Metric("rows", "COUNTER", 2), Metric("g", "GAUGE", -1.5, {"a": "1"})),
    )


async def test_a_puid_is_made_where_there_is_none(wrapper: Wrapper, start: Start) -> None:
    service = await start(wrapper(model("def predict(self, X, names): return X")))
    first, second = [(await service.predict(asked())).meta.puid for _ in range(2)]
    assert first
    assert second
    assert first != second
    assert (await service.predict(asked(), puid="header")).meta.puid == "header"
    assert (await service.predict(asked(puid="own"), puid="header")).meta.puid == "own"


@pytest.mark.parametrize(
    "metric",
    [
        "{'type': 'COUNTER', 'key': 'k', 'value': True}",
        "{'type': 'GAUGE', 'key': 'k', 'value': float('nan')}",
        "{'type': 'GAUGE', 'key': 'k', 'value': float('inf')}",
        "{'type': 'TIMER', 'key': 'k', 'value': -1}",
        "{'type': 'COUNTER', 'key': 'k', 'value': -0.5}",
        "{'type': 'COUNTER', 'key': 'k', 'value': '1'}",
        "{'type': 'counter', 'key': 'k', 'value': 1}",
        "{'type': 'COUNTER', 'value': 1}",
        "['COUNTER', 'k', 1]",
    ],
)
async def test_what_is_no_metric_is_refused(metric: str, wrapper: Wrapper, start: Start) -> None:
    body = f"def predict(self, X, names): return X\ndef metrics(self): return [{metric}]"
    service = await start(wrapper(model(body)))
    with pytest.raises(ModelError) as caught:
        await service.predict(asked())
    assert caught.value.seldon_reason == "MICROSERVICE_BAD_METRIC"


async def test_an_exception_with_a_status_code_is_meant_for_the_caller(wrapper: Wrapper, start: Start) -> None:
    source = """
class Refused(Exception):
    status_code = 400
    def __init__(self, message, status_code, reason):
        self.message, self.status_code, self.reason = message, status_code, reason
"""
    service = await start(
        wrapper(source + model("def predict(self, X, names): raise Refused('too cold', 422, 'MICROSERVICE_BAD_DATA')"))
    )
    with pytest.raises(PenstockError, match="too cold") as caught:
        await service.predict(asked())
    assert (caught.value.http_status, caught.value.grpc_status) == (422, "INVALID_ARGUMENT")


async def test_an_error_of_penstock_passes_through(wrapper: Wrapper, start: Start) -> None:
    body = (
        "def predict(self, X, names):\n    from penstock.proto import ModelInputError\n    raise ModelInputError('no!')"
    )
    service = await start(wrapper(model(body)))
    with pytest.raises(ModelInputError, match="no!"):
        await service.predict(asked())


async def test_a_model_that_exits_does_not_end_the_service(wrapper: Wrapper, start: Start) -> None:
    service = await start(wrapper(model("def predict(self, X, names):\n    if len(X) > 1: exit(3)\n    return 'fine'")))
    with pytest.raises(ModelFailure):
        await service.predict(asked())
    assert await value_of(service, asked(ROWS[:1])) == "fine"


async def test_what_comes_from_the_wire_may_be_written_to(wrapper: Wrapper, start: Start) -> None:
    service = await start(wrapper(model("def predict(self, X, names):\n    X[0] = 9\n    return X")))
    received = np.frombuffer(ROWS.tobytes()).reshape(ROWS.shape)
    assert (await value_of(service, asked(received))).tolist() == [[9, 9], [3, 4]]


async def test_a_model_may_use_its_buffer_again(wrapper: Wrapper, start: Start) -> None:
    body = """
buffer = np.zeros((1, 2))
def predict(self, X, names):
    self.buffer[:] = X
    return self.buffer
"""
    service = await start(wrapper(model(body)))
    messages = [asked(np.full((1, 2), float(number))) for number in range(50)]
    replies = await asyncio.gather(*(value_of(service, message) for message in messages))
    assert [reply.tolist() for reply in replies] == [[[float(n)] * 2] for n in range(50)]


async def test_models_run_in_one_thread_that_is_not_the_loops(wrapper: Wrapper, start: Start) -> None:
    body = """
def __init__(self):
    import threading
    self.threads = {threading.get_ident()}
def predict(self, X, names):
    import threading
    self.threads.add(threading.get_ident())
    return [len(self.threads), int(threading.current_thread() is threading.main_thread())]
"""
    service = await start(wrapper(model(body)))
    replies = await asyncio.gather(*(value_of(service) for _ in range(20)))
    assert {tuple(reply.tolist()) for reply in replies} == {(1, 0)}


async def test_files_and_modules_beside_the_model(wrapper: Wrapper, start: Start) -> None:
    source = """
from . import helper as relative
import helper
class SeldonWrapper:
    def load(self):
        with open("helper.py") as file:
            self.word = file.read().split('"')[1]
    def predict(self, X, names):
        return [helper.WORD, relative.WORD, self.word]
"""
    first = await start(wrapper(source, "first", helper='WORD = "one"'))
    second = await start(wrapper(source, "second", helper='WORD = "two"'))
    assert (await value_of(first)).tolist() == ["one"] * 3
    assert (await value_of(second)).tolist() == ["two"] * 3


async def test_the_class_may_be_in_any_file(wrapper: Wrapper, start: Start, tmp_path: Path) -> None:
    folder = wrapper("", other=model("def predict(self, X, names): return 'here'"))
    (folder / "SeldonWrapper.py").unlink()
    (folder / "broken.py").write_text("not python at all (")
    assert await value_of(await start(folder)) == "here"
    (folder / "third.py").write_text(model("pass"))
    with pytest.raises(ModelLoadError, match=r"other\.py, third\.py"):
        await start(folder)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("x = 1", "no method predict"),
        ("async def predict(self, X, names): return X", "async"),
        ("def predict(self): return 1", "takes no input"),
        ("def predict(self, X, names, third): return 1", "'third'"),
        ("def predict(self, X, *, third): return 1", "'third'"),
        ("batchable = True\ndef predict(self, X, names, meta): return X", "needs meta"),
        ("def __init__(self): raise KeyError('weights')", "KeyError: 'weights'"),
        ("def load(self): exit()", "SystemExit"),
        ("def predict(self, X, names): return X\ndef init_metadata(self): raise OSError('x')", "init_metadata"),
        ("import nothing_of_this_name", "No module named 'nothing_of_this_name'"),
    ],
)
async def test_a_model_that_cannot_serve_is_told_when_it_loads(
    body: str, told: str, wrapper: Wrapper, start: Start
) -> None:
    with pytest.raises(ModelLoadError, match=told):
        await start(wrapper(model(body)))


async def test_seldons_base_class_offers_nothing(wrapper: Wrapper, start: Start) -> None:
    """A subclass of SeldonComponent inherits every method; those only raise."""
    base = """
class Base:
    def predict_raw(self, msg): raise NotImplementedError
    def route(self, X, names): raise NotImplementedError
    def tags(self): raise NotImplementedError
for method in (Base.predict_raw, Base.route, Base.tags):
    method.__module__ = "seldon_core.user_model"
class SeldonWrapper(Base):
    def predict(self, X, names): return "own"
"""
    service = await start(wrapper(base))
    assert await value_of(service) == "own"
    with pytest.raises(RequestError, match="no method route"):
        await service.route(asked())


async def test_metadata_of_the_model(wrapper: Wrapper, start: Start) -> None:
    body = """
def predict(self, X, names): return X
def init_metadata(self):
    inputs = [{"name": "in", "datatype": "FP64", "shape": [-1, 2], "messagetype": "tensor"}]
    return {"name": "told", "versions": ["v1"], "inputs": inputs}
"""
    service = await start(wrapper(model(body)))
    metadata = service.metadata()
    assert (metadata["name"], metadata["platform"], metadata["outputs"]) == ("told", "python", [])
    assert [spec.shape for spec in service.model.inputs] == [(-1, 2)]


async def test_bad_metadata_is_told_to_who_asks_for_it(wrapper: Wrapper, start: Start) -> None:
    service = await start(
        wrapper(model("def predict(self, X, names): return X\ndef init_metadata(self): return {'versions': 3}"))
    )
    assert (await value_of(service)).tolist() == ROWS.tolist()
    with pytest.raises(ModelError) as caught:
        service.metadata()
    assert caught.value.seldon_reason == "MICROSERVICE_BAD_METADATA"


async def test_tensors_of_a_python_model(wrapper: Wrapper, start: Start) -> None:
    service = await start(
        wrapper(model("def predict(self, X, names): return {'sum': X.sum(1), 'names': ','.join(names)}"))
    )
    columns = [Tensor("a", np.array([1.0, 2.0])), Tensor("b", np.array([[3], [4]]))]
    total, names = await service.infer(columns)
    assert (total.name, total.array.tolist(), names.array.tolist()) == ("sum", [4.0, 6.0], ["a,b"])
    (one,) = await (await start(wrapper(model("def predict(self, X, names): return X"), "echo"))).infer(columns[:1])
    assert (one.name, one.array.tolist()) == ("output", [1.0, 2.0])


BATCHABLE = """
batchable = True
sizes = []
def predict(self, X, names):
    self.sizes.append(len(X))
    if (X < 0).any(): raise ValueError("a bad row")
    return X * 2
def metrics(self):
    return [{"type": "COUNTER", "key": "calls", "value": 1}]
def health_status(self):
    return [max(self.sizes), sum(self.sizes)]
"""


async def test_rows_share_a_call_only_where_the_class_says_so(wrapper: Wrapper, start: Start) -> None:
    for body, shared in ((BATCHABLE, True), (BATCHABLE.replace("True", "False"), False)):
        service = await start(wrapper(model(body), f"shared_{shared}"))
        messages = [asked(np.full((1, 2), float(number))) for number in range(50)]
        replies = await asyncio.gather(*(value_of(service, message) for message in messages))
        assert [reply.tolist() for reply in replies] == [[[2.0 * n, 2.0 * n]] for n in range(50)]
        health = (await service.health()).payload
        assert health is not None
        largest, rows = health.value
        assert rows == 50
        assert bool(largest > 1) is shared


async def test_one_bad_row_fails_alone_in_a_shared_call(wrapper: Wrapper, start: Start) -> None:
    service = await start(wrapper(model(BATCHABLE)))
    messages = [asked(np.full((1, 2), -1.0 if number == 17 else number)) for number in range(40)]
    replies = await asyncio.gather(*(value_of(service, message) for message in messages), return_exceptions=True)
    assert isinstance(replies[17], ModelFailure)
    assert [reply.tolist() for n, reply in enumerate(replies) if n != 17] == [  # type: ignore[union-attr]
        [[2.0 * n, 2.0 * n]] for n in range(40) if n != 17
    ]


async def test_a_shared_call_reports_its_metrics_once(wrapper: Wrapper, start: Start) -> None:
    service = await start(wrapper(model(BATCHABLE)))
    replies = await asyncio.gather(*(service.predict(asked()) for _ in range(30)))
    told = sum(metric.value for reply in replies for metric in reply.meta.metrics)
    line = next(x for x in service.metrics.exposition().decode().splitlines() if x.startswith("calls_total{"))
    runs = next(x for x in service.metrics.exposition().decode().splitlines() if "model_run_seconds_count" in x)
    assert told == float(line.split()[-1]) == float(runs.split()[-1]) < 30


def test_no_model_is_left_under_a_plain_name() -> None:
    assert "SeldonWrapper" not in sys.modules
