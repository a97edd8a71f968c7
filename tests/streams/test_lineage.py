"""Record, call and result can be joined: by the trace where the record is part of one, by the call's puid where not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from penstock.proto import Kind, read_message, write_message
from penstock.proto.trace_context import read_trace
from penstock.serving.service import Service as ServedModel
from penstock.serving.settings import Settings
from penstock.streams.calls import caller
from penstock.streams.metrics import Metrics
from penstock.streams.patience import Patience
from penstock.streams.processing import Processor
from penstock.streams.records import Record
from penstock.streams.spec import Service, Sink, Source, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from penstock.streams.records import Headers, Outgoing

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01".encode()
OTHER = f"00-{TRACE[::-1]}-{SPAN}-00".encode()


class Calls:
    """What a service was asked: the puid and the metadata of each call."""

    def __init__(self, model: ServedModel) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self._model = model

    async def predict(self, body: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        """Answer as the model does."""
        message = read_message(body)
        self.seen.append((message.meta.puid, dict(context.invocation_metadata() or ())))
        try:
            return write_message(await self._model.predict(message))
        except Exception as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise


@asynccontextmanager
async def asked(model: Path) -> AsyncIterator[tuple[Processor, Calls]]:
    """A processor, and the service that it asks over a real connection."""
    served = await ServedModel.start(Settings(model=model))
    calls = Calls(served)
    server = grpc.aio.server()
    predict = grpc.unary_unary_rpc_method_handler(calls.predict)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("seldon.protos.Seldon", {"Predict": predict})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    service = Service(address=f"grpc://127.0.0.1:{port}")
    stream = Stream("s", Source("in", Kind.NDARRAY), service, Sink("out"), "dead")
    try:
        async with caller(service) as answers:
            yield Processor(stream, answers, Patience(), Metrics("s")), calls
    finally:
        await server.stop(None)
        await served.stop()


def record(offset: int, headers: Headers, value: bytes = b"[1.5, 2]") -> Record:
    return Record("in", 0, offset, 1000, b"k", value, headers)


def told(outgoing: Outgoing, name: str) -> str:
    (value,) = [value for header, value in outgoing.headers if header == name]
    return (value or b"").decode()


async def test_a_call_for_one_record_is_a_span_of_its_trace(model: Path) -> None:
    given: Headers = [("x", b"1"), ("traceparent", PARENT), ("tracestate", b"a=1, b=2"), ("y", b"2")]
    async with asked(model) as (processor, calls):
        (result,) = await processor.process([record(1, given)])
    ((puid, metadata),) = calls.seen
    trace = read_trace([metadata["traceparent"].encode()])
    assert trace is not None
    assert (trace.trace_id, trace.flags) == (TRACE, "01")
    assert SPAN not in metadata["traceparent"]
    assert metadata["tracestate"] == "a=1,b=2"
    assert told(result, "traceparent") == metadata["traceparent"]
    assert told(result, "puid") == puid
    assert [header for header in result.headers[:4] if header[0] != "traceparent"] == [given[0], given[2], given[3]]
    assert "penstock-call" not in dict(result.headers)


async def test_results_of_a_shared_call_name_it_and_stay_in_their_own_traces(model: Path) -> None:
    batch = [record(1, [("traceparent", PARENT)]), record(2, []), record(3, [("Traceparent", OTHER), ("puid", b"p")])]
    async with asked(model) as (processor, calls):
        results = await processor.process(batch)
    ((puid, metadata),) = calls.seen
    assert {told(result, "penstock-call") for result in results} == {puid}
    assert puid not in {told(result, "puid") for result in results}
    assert told(results[2], "puid") == "p"
    assert not {"traceparent", "tracestate"} & set(metadata)
    spans = [told(results[0], "traceparent").split("-"), told(results[2], "Traceparent").split("-")]
    assert [(trace_id, flags) for _, trace_id, _, flags in spans] == [(TRACE, "01"), (TRACE[::-1], "00")]
    assert spans[0][2] == spans[1][2] != SPAN
    assert "traceparent" not in dict(results[1].headers)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("traceparent", b"nonsense"), ("tracestate", b"a=1")],
        [("traceparent", PARENT + b"\r\nx: y")],
        [("traceparent", PARENT), ("traceparent", OTHER)],
        [("traceparent", None)],
        [("tracestate", b"a=1")],
    ],
)
async def test_no_trace_is_begun_and_a_malformed_one_goes_nowhere(model: Path, headers: Headers) -> None:
    async with asked(model) as (processor, calls):
        (result,) = await processor.process([record(1, headers)])
    ((_, metadata),) = calls.seen
    assert not {"traceparent", "tracestate"} & set(metadata)
    # In the result it is a header like any other.
    assert result.headers[: len(headers)] == headers


async def test_a_malformed_tracestate_does_not_harm_the_trace(model: Path) -> None:
    async with asked(model) as (processor, calls):
        await processor.process([record(1, [("traceparent", PARENT), ("tracestate", b"a=\xe9\n")])])
    ((_, metadata),) = calls.seen
    assert TRACE in metadata["traceparent"]
    assert "tracestate" not in metadata


async def test_what_an_earlier_stream_told_of_its_call_is_left_out(model: Path) -> None:
    async with asked(model) as (processor, _):
        (result,) = await processor.process([record(1, [("penstock-call", b"an earlier one")])])
    assert "penstock-call" not in dict(result.headers)


async def test_a_dead_letter_keeps_the_trace_as_it_was(model: Path) -> None:
    given: Headers = [("traceparent", PARENT), ("tracestate", b"a=1"), ("penstock-call", b"an earlier one")]
    async with asked(model) as (processor, calls):
        out = await processor.process([record(1, given, b"[666.0, 1]"), record(2, given, b"no JSON"), record(3, given)])
    assert [each.topic for each in out] == ["dead", "dead", "out"]
    assert out[0].headers[:3] == out[1].headers[:3] == given
    shared, *single = calls.seen
    assert "traceparent" not in shared[1]
    assert all(TRACE in metadata["traceparent"] for _, metadata in single)
    # The call that answered it is the last one it took part in.
    assert told(out[2], "traceparent") in [metadata["traceparent"] for _, metadata in single]
