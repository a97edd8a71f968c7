"""grpcio's client, of Python: what the clients of Go and Java try, and 1,000 streams that are all open at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from penstock.proto import prediction_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Called

PREDICT = "/seldon.protos.Seldon/Predict"


@pytest.fixture
def channel(called: Called) -> Iterator[grpc.Channel]:
    most: Any = [(f"grpc.max_{way}_message_length", -1) for way in ("receive", "send")]
    if called.ca is None:
        opened = grpc.insecure_channel(called.grpc, most)
    else:
        opened = grpc.secure_channel(called.grpc, grpc.ssl_channel_credentials(called.ca.read_bytes()), most)
    with opened as channel:
        yield channel


def predict(channel: grpc.Channel) -> Any:
    return channel.unary_unary(PREDICT, pb.SeldonMessage.SerializeToString, pb.SeldonMessage.FromString)


def test_unary(channel: grpc.Channel) -> None:
    answer, call = predict(channel).with_call(pb.SeldonMessage(strData="ü"), timeout=60)
    assert answer.strData == "ü"
    assert call.code() is grpc.StatusCode.OK


def test_a_large_message_both_ways(channel: grpc.Channel) -> None:
    content = bytes(range(256)) * 100_000
    assert predict(channel)(pb.SeldonMessage(binData=content), timeout=60).binData == content


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_a_compressed_request(channel: grpc.Channel, compression: grpc.Compression) -> None:
    answer = predict(channel)(pb.SeldonMessage(strData="a" * 100_000), compression=compression, timeout=60)
    assert answer.strData == "a" * 100_000


def test_deadline(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        predict(channel)(pb.SeldonMessage(strData="sleep 0.5"), timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_cancel(channel: grpc.Channel) -> None:
    call = predict(channel).future(pb.SeldonMessage(strData="sleep 0.3"), timeout=60)
    call.cancel()
    with pytest.raises(grpc.FutureCancelledError):
        call.result()
    assert predict(channel)(pb.SeldonMessage(strData="a"), timeout=60).strData == "a"


def test_a_thousand_streams_on_one_connection(channel: grpc.Channel) -> None:
    # The model sleeps while they arrive, so that they are all open before the first is answered.
    asleep = predict(channel).future(pb.SeldonMessage(strData="sleep 0.5"), timeout=60)
    calls = [predict(channel).future(pb.SeldonMessage(strData=f"call {n}"), timeout=60) for n in range(1000)]
    assert [call.result().strData for call in calls] == [f"call {n}" for n in range(1000)]
    assert asleep.result().strData == "sleep 0.5"


def test_many_threads_share_a_channel(channel: grpc.Channel) -> None:
    def ask(number: int) -> bool:
        values = [float(number), 1.0]
        asked = pb.SeldonMessage()
        asked.data.tensor.shape.extend([1, 2])
        asked.data.tensor.values.extend(values)
        return list(predict(channel)(asked, timeout=30).data.tensor.values) == values

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(500)))
