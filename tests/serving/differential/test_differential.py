"""grpcio's server and our own answer the same to whatever comes: status, message and bytes.

``PENSTOCK_DIFFERENTIAL`` is the number of random calls (20,000 for the whole proof, 3,000 where it is not set),
``PENSTOCK_DIFFERENTIAL_SEED`` the seed that they are drawn from.
"""

from __future__ import annotations

import gzip
import os
import random
from typing import Final

import pytest

from penstock.proto import prediction_pb2 as pb

from ..wire_client import grpc_fields, message
from .calls import LARGEST_MESSAGE, Calls, RawCall
from .playing import play

_COUNT: Final = int(os.environ.get("PENSTOCK_DIFFERENTIAL", "3000"))
_SEED: Final = int(os.environ.get("PENSTOCK_DIFFERENTIAL_SEED", "1"))
_SHOWN: Final = 10


@pytest.mark.timeout(600)
async def test_both_engines_answer_the_same(engines: dict[str, str]) -> None:
    drawn = Calls(_SEED)
    calls = [next(drawn) for _ in range(_COUNT)]
    expected = await play(engines["grpcio"], calls)
    answered = await play(engines["penstock"], calls)
    differing = [
        f"{call.about}\n    grpcio   {wanted}\n    penstock {got}"
        for call, wanted, got in zip(calls, expected, answered, strict=True)
        if wanted != got
    ]
    assert not differing, f"{len(differing)} of {_COUNT} calls:\n" + "\n".join(differing[:_SHOWN])
    assert len({outcome.status for outcome in expected}) >= 6  # the calls are of many kinds


@pytest.mark.parametrize("engine", ["grpcio", "penstock"])
async def test_a_message_that_is_too_large_once_inflated(engines: dict[str, str], engine: str) -> None:
    bomb = message(gzip.compress(bytes(LARGEST_MESSAGE + 1), mtime=0), 1)
    fields = [*grpc_fields("/seldon.protos.Seldon/Predict"), (b"grpc-encoding", b"gzip")]
    (outcome,) = await play(engines[engine], [RawCall("bomb", fields, (bomb,))])
    assert outcome.status == 8


@pytest.mark.parametrize("behind", [b"x", bytes(8), gzip.compress(bytes(100), mtime=0)], ids=["text", "zeros", "gzip"])
@pytest.mark.parametrize("size", [10, LARGEST_MESSAGE - 1_000])
async def test_a_compressed_message_with_something_behind_its_end(
    engines: dict[str, str], size: int, behind: bytes
) -> None:
    body = pb.SeldonMessage(binData=random.Random(1).randbytes(size)).SerializeToString()
    framed = message(gzip.compress(body, mtime=0) + behind, 1)
    fields = [*grpc_fields("/seldon.protos.Seldon/Predict"), (b"grpc-encoding", b"gzip")]
    outcomes = [await play(address, [RawCall("behind", fields, (framed,))]) for address in engines.values()]
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0].status == 13


@pytest.mark.parametrize("body", [b"", b"\0\0", b"\0\0\0\0\5ab"], ids=["none", "half a prefix", "half a message"])
async def test_a_call_without_its_message_is_refused(engines: dict[str, str], body: bytes) -> None:
    """grpcio gives no answer at all, and keeps the stream for ever."""
    call = RawCall("cut", grpc_fields("/seldon.protos.Seldon/Predict"), (body,) if body else ())
    (outcome,) = await play(engines["penstock"], [call])
    assert outcome.status == 13
