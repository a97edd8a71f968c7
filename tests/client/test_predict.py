"""What goes in comes out: every kind over both protocols, sync and async."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penstock.client import AsyncClient, Client
from penstock.proto import ConversionError, Kind, LimitError, Message, Meta, Payload, read_message, write_message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

VALUES: dict[Kind, Any] = {
    Kind.BIN_DATA: b"\x00\xff raw",
    Kind.STR_DATA: "any string ✓",
    Kind.JSON_DATA: {"a": [1, 2, 3], "b": None, "c": {"d": True}},
    Kind.NDARRAY: np.array([["x", 1.5], [None, True]], dtype=object),
    Kind.TENSOR: np.array([[1.0, 2.5], [3.0, np.pi]]),
    Kind.TFTENSOR: np.arange(6, dtype=np.float32).reshape(2, 3),
}


def same(left: Any, right: Any) -> bool:
    if isinstance(right, np.ndarray):
        return bool(left.shape == right.shape and left.dtype == right.dtype and left.tolist() == right.tolist())
    return bool(left == right)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_comes_back(echo: Any, kind: Kind) -> None:
    with Client(echo.address) as client:
        prediction = client.predict(Payload(kind, VALUES[kind]), puid="p1", tags={"t": 1.5})
    assert prediction.kind is kind
    assert same(prediction.value, VALUES[kind])
    assert prediction.puid == "p1"
    assert prediction.tags == {"t": 1.5}
    assert prediction.elapsed > 0


@pytest.mark.parametrize("kind", Kind)
async def test_every_kind_comes_back_async(echo: Any, kind: Kind) -> None:
    async with AsyncClient(echo.address) as client:
        prediction = await client.predict(Payload(kind, VALUES[kind]), puid="p1")
    assert prediction.kind is kind
    assert same(prediction.value, VALUES[kind])
    assert prediction.puid == "p1"


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (np.array([[0.1, -0.0]]), Kind.TENSOR),
        (np.array([[0.1, 2]], np.float32), Kind.TENSOR),
        (np.array([[1, 2**62]]), Kind.TENSOR),
        (np.array([[1, 2**62 + 1]]), Kind.TFTENSOR),
        (np.array([1 + 2j]), Kind.TFTENSOR),
        (np.array(1.5), Kind.TFTENSOR),
        (np.array([True, False]), Kind.NDARRAY),
        (np.array([1.5], np.float16), Kind.TENSOR),
        (np.array([["a", "b"]]), Kind.NDARRAY),
        (np.array([["a", 1.5]], object), Kind.NDARRAY),
    ],
)
def test_an_array_keeps_its_numbers_over_grpc(grpc_echo: Any, array: Any, kind: Kind) -> None:
    with Client(grpc_echo.address) as client:
        prediction = client.predict(array)
    assert prediction.kind is kind
    assert prediction.array.tolist() == array.tolist()
    if kind is Kind.TFTENSOR:
        assert prediction.array.dtype == array.dtype


def test_an_array_is_an_ndarray_over_rest(rest_echo: Any) -> None:
    with Client(rest_echo.address) as client:
        prediction = client.predict(np.array([[1.5, 2.0]]), names=["a", "b"])
    assert prediction.kind is Kind.NDARRAY
    assert prediction.names == ("a", "b")
    assert rest_echo.seen.calls[0][2].startswith(b'{"data":{"names":["a","b"],"ndarray":[[1.5,2.0]]}')


@pytest.mark.parametrize(
    ("value", "kind"),
    [("text", Kind.STR_DATA), (b"bytes", Kind.BIN_DATA), ({"k": 1}, Kind.JSON_DATA), ([[1, 2]], Kind.NDARRAY)],
)
def test_the_type_of_a_python_value_is_its_kind(echo: Any, value: Any, kind: Kind) -> None:
    with Client(echo.address) as client:
        prediction = client.predict(value)
    assert prediction.kind is kind
    assert (prediction.value.tolist() if kind.is_array else prediction.value) == value


def test_kind_and_names_can_be_chosen(echo: Any) -> None:
    with Client(echo.address) as client:
        prediction = client.predict([[1, 2]], kind="tensor", names=("a", "b"))
    assert prediction.kind is Kind.TENSOR
    assert prediction.names == ("a", "b")
    assert prediction.to("ndarray").array.tolist() == [[1, 2]]


def test_a_message_keeps_what_it_says(echo: Any) -> None:
    payload = Payload(Kind.NDARRAY, np.array([[1.0, 2.0]]), ("x", "y"))
    message = Message(payload, Meta(puid="own", tags={"a": 1.0}, request_path={"iris": "registry:5000/iris:1.2"}))
    with Client(echo.address) as client:
        prediction = client.predict(message, tags={"b": "two"})
    assert prediction.puid == "own"
    assert prediction.tags == {"a": 1.0, "b": "two"}
    assert prediction.names == ("x", "y")
    assert (prediction.model, prediction.version) == ("iris", "1.2")


def test_the_callers_message_is_not_changed(grpc_echo: Any) -> None:
    message = Message(Payload(Kind.STR_DATA, "x"), Meta(tags={"a": 1.0}))
    with Client(grpc_echo.address) as client:
        client.predict(message, tags={"b": 2.0}, puid="other")
    assert message.meta == Meta(tags={"a": 1.0})


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ({}, ""),
        ({"m": "registry:5000/image"}, ""),
        ({"m": "image"}, ""),
        ({"a": "i:1", "b": "i:2"}, ""),
        ({"m": "i:7"}, "7"),
    ],
)
def test_the_version_is_only_told_where_it_is_known(grpc_echo: Any, path: dict[str, str], version: str) -> None:
    with Client(grpc_echo.address) as client:
        message = Message(Payload(Kind.STR_DATA, "x"), Meta(request_path=path))
        assert client.predict(message).version == version


def test_text_has_no_array(grpc_echo: Any) -> None:
    with Client(grpc_echo.address) as client:
        prediction = client.predict("words")
    with pytest.raises(ConversionError, match="strData to ndarray"):
        _ = prediction.array


def test_json_lists_have_an_array(grpc_echo: Any) -> None:
    with Client(grpc_echo.address) as client:
        assert client.predict([[1, 2]], kind="jsonData").array.tolist() == [[1, 2]]


@pytest.mark.parametrize("kind", [Kind.BIN_DATA, Kind.TENSOR, Kind.TFTENSOR, Kind.NDARRAY])
def test_twenty_megabytes(echo: Any, kind: Kind) -> None:
    array = np.random.default_rng(1).random((2_500, 1_000))
    value = array.tobytes() if kind is Kind.BIN_DATA else array
    with Client(echo.address, deadline=60) as client:
        prediction = client.predict(value, kind=kind)
    assert same(prediction.value, value)


def test_a_request_that_is_too_large_is_not_sent(echo: Any) -> None:
    with Client(echo.address, max_message_bytes=1000) as client, pytest.raises(LimitError, match="1,000 allowed"):
        client.predict(b"x" * 1001)
    assert not echo.seen.calls


def test_a_reply_that_is_too_large_is_refused(grpc_echo: Any, rest_echo: Any) -> None:
    big = write_message(Message(Payload(Kind.BIN_DATA, b"x" * 5000)))
    grpc_echo.seen.always = lambda *_: big
    rest_echo.seen.always = lambda handler, _: handler.reply(200, b'{"strData":"%s"}' % (b"x" * 5000))
    for server in (grpc_echo, rest_echo):
        with (
            Client(server.address, max_message_bytes=1000) as client,
            pytest.raises(LimitError, match="raise max_message_bytes") as caught,
        ):
            client.predict("x")
        assert caught.value.code == "MESSAGE_TOO_LARGE"
        assert len(server.seen.calls) == 1


async def test_a_reply_that_is_too_large_is_refused_async(rest_echo: Any) -> None:
    rest_echo.seen.always = lambda handler, _: handler.reply(200, b'{"strData":"%s"}' % (b"x" * 5000))
    async with AsyncClient(rest_echo.address, max_message_bytes=1000) as client:
        with pytest.raises(LimitError, match="raise max_message_bytes"):
            await client.predict("x")


def test_threads_share_a_client(echo: Any) -> None:
    with Client(echo.address, deadline=30) as client, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: client.predict(np.array([[float(n)]])).array.item(), range(400)))
    assert answers == list(range(400))


async def test_tasks_share_a_client(echo: Any) -> None:
    async with AsyncClient(echo.address, deadline=30) as client:

        async def one(number: int) -> float:
            return float((await client.predict(np.array([[float(number)]]))).array.item())

        assert await asyncio.gather(*map(one, range(200))) == list(range(200))


def test_an_async_client_stays_in_its_loop(grpc_echo: Any) -> None:
    from penstock.proto import SetupError

    client = AsyncClient(grpc_echo.address)

    async def call() -> Any:
        return (await client.predict("x")).value

    def in_a_loop(make: Callable[[], Awaitable[Any]]) -> Any:
        with asyncio.Runner() as runner:
            return runner.run(make())  # type: ignore[arg-type]

    with asyncio.Runner() as runner:
        assert runner.run(call()) == "x"
        with pytest.raises(SetupError, match="one client per loop"):
            in_a_loop(call)
        runner.run(client.close())


def test_no_protobuf_bytes_are_made_over_rest_nor_json_over_grpc(grpc_echo: Any, rest_echo: Any) -> None:
    for server in (grpc_echo, rest_echo):
        with Client(server.address) as client:
            client.predict(np.array([[1.0]]))
    assert read_message(grpc_echo.seen.calls[0][2]).payload.kind is Kind.TENSOR  # type: ignore[union-attr]
    assert rest_echo.seen.calls[0][1]["content-type"] == "application/json"
