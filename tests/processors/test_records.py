"""Records to a real service, without NiFi."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from penstock.processors.connections import Clients
from penstock.processors.outcomes import FAILURE, RETRY, SUCCESS
from penstock.processors.records import RecordInvocation
from penstock.processors.settings import Connection
from penstock.proto import read_message

from .conftest import DOUBLE, ECHO, LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.client.conftest import GrpcServer
    from tests.serving.conftest import Served


@pytest.fixture
def invocation(serve_source: Callable[..., Served]) -> Iterator[Callable[..., RecordInvocation]]:
    """``invocation(source, features, name of the field)``."""
    clients, leases = Clients(), []

    def make(source: str | None, features: str | None = None, field: str = "prediction") -> RecordInvocation:
        address = serve_source(source, "model").grpc if source else "127.0.0.1:1"
        leases.append(clients.lease(Connection(address, retries=0)))
        return RecordInvocation(leases[-1], features, field)

    yield make
    for lease in leases:
        lease.give_back()


def flower(petal: Any, sepal: Any = 1.0) -> dict[str, Any]:
    return {"id": "x", "petal": petal, "sepal": {"length": sepal}}


def test_chosen_fields_in_their_order(invocation: Callable[..., RecordInvocation]) -> None:
    records = [flower(number, 0.5) for number in range(2_500)]  # three calls
    outcomes = invocation(DOUBLE, "/sepal/length, petal")(records, "model")
    assert {outcome.relationship for outcome in outcomes} == {SUCCESS}
    assert [outcome.record for outcome in outcomes] == [
        {**record, "prediction": {"a": 1.0, "b": 2.0 * number}} for number, record in enumerate(records)
    ]


def test_all_fields_and_a_name_of_its_own(invocation: Callable[..., RecordInvocation]) -> None:
    (outcome,) = invocation(ECHO, None, "same")([{"a": 1.5, "b": "text"}], "model")
    assert outcome.record == {"a": 1.5, "b": "text", "same": {"a": 1.5, "b": "text"}}
    (outcome,) = invocation(LABEL)([{"a": 9.0, "b": 2.0}], "model")
    assert outcome.record["prediction"] == {"label": "big", "score": 9.0}
    (outcome,) = invocation(ECHO, "a")([{"a": 9.0}], "model")
    assert outcome.record["prediction"] == 9.0


def test_a_record_without_a_field_fails_alone(invocation: Callable[..., RecordInvocation]) -> None:
    records = [flower(1.0), flower(None), flower(3.0)]
    outcomes = invocation(ECHO, "petal")(records, "model")
    assert [outcome.relationship for outcome in outcomes] == [SUCCESS, FAILURE, SUCCESS]
    assert [outcome.record.get("prediction") for outcome in outcomes] == [1.0, None, 3.0]
    assert outcomes[1].record == records[1]
    assert outcomes[1].error == "NO_FIELD: the record has no value in the field 'petal'"
    assert outcomes[0].error == ""


def test_what_goes_wrong_with_all(invocation: Callable[..., RecordInvocation]) -> None:
    records = [flower(13.0)]
    (outcome,) = invocation(DOUBLE, "petal")(records, "model")
    assert (outcome.relationship, outcome.record) == (FAILURE, records[0])
    assert outcome.attributes["invokemodel.error.code"] == "MODEL_FAILED"
    (outcome,) = invocation(None, "petal")(records, "model")
    assert (outcome.relationship, outcome.record) == (RETRY, records[0])
    (outcome,) = invocation(ECHO, "petal")(records, "")
    assert outcome.attributes["invokemodel.error.code"] == "NO_MODEL"
    (outcome,) = invocation(ECHO, "petal")(records, "another")
    assert outcome.attributes["invokemodel.error.code"] == "WRONG_MODEL"


def test_the_name_the_puid_and_the_trace_travel_along(grpc_echo: GrpcServer) -> None:
    clients = Clients()
    lease = clients.lease(Connection(grpc_echo.address))
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "vendor=1"}
    RecordInvocation(lease, None, "same")([{"a": 1.5}], "iris", puid="p-1", trace=trace)
    lease.give_back()
    _, headers, body = grpc_echo.seen.calls[0]
    assert {"seldon": "iris", **trace}.items() <= headers.items()
    assert read_message(body).meta.puid == "p-1"
