"""The demo's image model behind a real service: right digits, answers like the seed's elephant, bombs refused."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from penstock.client import AsyncClient
from penstock.proto import Kind, PenstockError, payload_of
from penstock.serving import Settings
from penstock.serving.lifecycle import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import ImageModel


@pytest.fixture
async def client(image_model: ImageModel) -> AsyncIterator[AsyncClient]:
    async with (
        running(Settings(image_model.folder, grpc_port=0, http_port=0)) as server,
        AsyncClient(server.grpc_address) as client,
    ):
        yield client


def text(file: bytes) -> str:
    return base64.b64encode(file).decode()


async def ask(client: AsyncClient, *texts: object) -> list[list[str]]:
    answer = await client.predict(payload_of([[each] for each in texts], Kind.NDARRAY))
    assert answer.kind is Kind.NDARRAY
    rows: list[list[str]] = answer.payload.array.tolist()
    return rows


async def test_it_knows_the_digits_and_tells_three_each(client: AsyncClient, image_model: ImageModel) -> None:
    right = 0
    for picture in image_model.pictures:
        rows = await ask(client, text(picture.png))
        assert len(rows) == 3
        identifiers, labels, probabilities = zip(*rows, strict=True)
        assert all(identifier.startswith("digit-") for identifier in identifiers)
        assert len(set(labels)) == 3
        assert sorted(map(float, probabilities), reverse=True) == list(map(float, probabilities))
        right += identifiers[0] == f"digit-{picture.label}"
    assert right >= 0.9 * len(image_model.pictures)


async def test_several_images_are_answered_in_order(client: AsyncClient, image_model: ImageModel) -> None:
    one, two = (text(picture.png) for picture in image_model.pictures[:2])
    assert await ask(client, one, two) == [*await ask(client, one), *await ask(client, two)]


async def test_a_larger_jpeg_in_colour_is_the_same_digit(client: AsyncClient, image_model: ImageModel) -> None:
    picture = image_model.pictures[0]
    file = io.BytesIO()
    Image.open(io.BytesIO(picture.png)).convert("RGB").resize((400, 400)).save(file, "JPEG")
    (identifier, _, _), *_ = await ask(client, text(file.getvalue()))
    assert identifier == f"digit-{picture.label}"


def header_only(width: int, height: int) -> bytes:
    """A PNG whose header promises this size and which has a few bytes of pixels only."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def gif() -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "GIF")
    return file.getvalue()


BAD = {
    "not base64": ("§§§", "not base64"),
    "no image": (text(b"hello"), "no PNG or JPEG"),
    "another format": (text(gif()), "no PNG or JPEG"),
    "a number": (7, "base64 text"),
    "cut off": (text(header_only(64, 64)), "broken or cut off"),
    "more pixels than allowed": (text(header_only(4096, 4096)), "at most 4,194,304 pixels"),
    "a bomb": (text(header_only(60_000, 60_000)), "at most 4,194,304 pixels"),
    "too long": ("A" * (5 << 20), "characters of base64"),
}


@pytest.mark.parametrize(("sent", "told"), BAD.values(), ids=BAD)
async def test_what_is_no_image_is_refused_with_a_reason(client: AsyncClient, sent: object, told: str) -> None:
    with pytest.raises(PenstockError, match=told) as caught:
        await ask(client, sent)
    assert caught.value.http_status == 400
    assert not caught.value.retryable
