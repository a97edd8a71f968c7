"""Whatever hostile clients do, the others get all their answers, and the service's memory stays bounded."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest

from penstock.proto import prediction_pb2 as pb

from ..wire_client import connected
from .attacks import ATTACKS, Target

if TYPE_CHECKING:
    from .siege import Besieged

_CALLS: Final = 60
_TO_DEVELOP: Final = 0.7
_WITHIN: Final = 60.0  # seconds for all of them; how long one waits is measured by bench.hostile
# What an attack may make the service hold, bytes: unfinished bodies of all connections have 256 MiB.
_MOST: Final = 320 << 20
_PREDICT: Final = "/seldon.protos.Seldon/Predict"
_REQUEST: Final = pb.SeldonMessage(strData="a").SerializeToString()
# A peer that does this is told to go, again and again.
_ENDED: Final = {
    "rapid reset",
    "made to reset",
    "pings",
    "settings",
    "empty settings",
    "priorities",
    "continuation",
    "empty continuation",
    "empty data",
    "http/1.1 endless head",
    "http/1.1 long chunk head",
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_others_are_answered_and_memory_is_bounded(server: Besieged, name: str) -> None:
    target = Target(server.grpc, server.http)
    before = server.memory
    attack = asyncio.create_task(ATTACKS[name](target))
    watch = asyncio.create_task(peak(server))
    try:
        await asyncio.sleep(_TO_DEVELOP)
        await asyncio.wait_for(asyncio.gather(calls(server), requests(server)), _WITHIN)
        if name in _ENDED:
            await asyncio.wait_for(hung_up(target), _WITHIN)
        assert not attack.done()
    finally:
        for task in (attack, watch):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await attack
    most = await watch
    await calls(server, 3)
    assert most - before < _MOST, f"{(most - before) >> 20} MB more than before"


async def hung_up(target: Target) -> None:
    while not target.hung_up:  # noqa: ASYNC110  (it is counted, and nobody is told)
        await asyncio.sleep(0.02)


async def calls(server: Besieged, count: int = _CALLS) -> None:
    async with connected(server.grpc) as client:
        for _ in range(count):
            answer = await client.unary(_PREDICT, _REQUEST)
            assert answer.status == 0, answer
            assert pb.SeldonMessage.FromString(bytes(answer.body[5:])).strData == "a"


async def requests(server: Besieged) -> None:
    host, _, port = server.http.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for _ in range(_CALLS):
        writer.write(b"GET /health/ping HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        assert await reader.readexactly(4) == b"pong"
    writer.close()
    await writer.wait_closed()


async def peak(server: Besieged) -> int:
    """The most memory that was seen until it is cancelled."""
    most = 0
    with suppress(asyncio.CancelledError):
        while True:
            most = max(most, server.memory)
            await asyncio.sleep(0.1)
    return most
