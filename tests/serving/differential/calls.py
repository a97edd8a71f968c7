"""Random calls, right and wrong, drawn from a seed: what clients of gRPC send, and what they never should."""

from __future__ import annotations

import gzip
import random
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penstock.proto import open_inference_pb2 as oi
from penstock.proto import prediction_pb2 as pb

from ..wire_client import Fields, grpc_fields, message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LARGEST_MESSAGE: Final = 200_000

_SELDON: Final = {
    "Seldon": ("Predict", "SendFeedback", "ModelMetadata", "GraphMetadata"),
    "Model": ("Predict", "SendFeedback", "Metadata"),
    "Generic": ("TransformInput", "TransformOutput", "Route", "Aggregate", "SendFeedback"),
    "Router": ("Route", "SendFeedback"),
    "Transformer": ("TransformInput",),
    "OutputTransformer": ("TransformOutput",),
    "Combiner": ("Aggregate",),
}
_INFERENCE: Final = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")
_HEALTH: Final = "/grpc.health.v1.Health/Check"
PATHS: Final = (
    *(f"/seldon.protos.{service}/{method}" for service, methods in _SELDON.items() for method in methods),
    *(f"/inference.GRPCInferenceService/{method}" for method in (*_INFERENCE, "RepositoryIndex")),
    _HEALTH,
)
_PREDICT: Final = PATHS[:1] * 12
_INFER: Final = ("/inference.GRPCInferenceService/ModelInfer",) * 8
_UNKNOWN: Final = ("/", "/a", "/a/b", "//", "/seldon.protos.Seldon/predict", "/seldon.protos.Seldon/", "/x.Y/%41")


@dataclass(frozen=True, slots=True)
class RawCall:
    """A call as it goes out.

    Attributes:
        about: what is done in it, for whoever reads a failure.
        fields: of the header block.
        pieces: payloads of its DATA frames.
        ends: with the last piece (``data``), an empty frame (``empty``) or trailers (``trailers``).
    """

    about: str
    fields: Fields
    pieces: tuple[bytes, ...]
    ends: str = "data"


class Calls:
    """An endless sequence of calls; equal seeds make equal ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._numbers = np.random.default_rng(seed)
        self._count = 0

    def __next__(self) -> RawCall:
        self._count += 1
        draw = self._random
        make = draw.choices(
            [
                self._plain,
                self._spoilt,
                self._noise,
                self._framed,
                self._timed,
                self._dressed,
                self._stray,
                self._large,
            ],
            [30, 25, 6, 10, 8, 10, 8, 1],
        )[0]
        return make()

    # ------------------------------------------------------------------ kinds of calls

    def _plain(self) -> RawCall:
        path = self._path()
        return self._call("plain", path, self._body(path))

    def _spoilt(self) -> RawCall:
        """A message of which some bytes were changed, cut off, put in or repeated."""
        path = self._own_path()
        body = bytearray(self._body(path))
        for _ in range(self._random.randint(1, 3)):
            at = self._random.randint(0, len(body))
            way = self._random.randrange(4)
            if way == 0 and at < len(body):
                body[at] = self._random.randrange(256)
            elif way == 1:
                del body[at:]
            elif way == 2:
                body[at:at] = self._random.randbytes(self._random.randint(1, 4))
            else:
                body += body[at:]
        return self._call("spoilt", path, bytes(body))

    def _noise(self) -> RawCall:
        return self._call("noise", self._own_path(), self._random.randbytes(self._random.randint(0, 60)))

    def _framed(self) -> RawCall:
        """The prefix of the message is wrong, or there is not one message."""
        path = self._path()
        body = message(self._body(path))
        ways: list[tuple[str, bytes]] = [
            ("two messages", body + body),
            ("rest behind", body + b"\0" * self._random.randint(1, 4)),
            ("flag without encoding", b"\1" + body[1:]),
        ]
        about, wrong = self._random.choice(ways)
        return self._call(f"framed: {about}", path, None, framed=wrong)

    def _timed(self) -> RawCall:
        path = self._path()
        good = ["20S", "1M", "1H", "99999999m", "30000000u", "1000000S"]
        bad = ["", "S", "10", "-1S", "+1S", "1s", "123456789S", "1.5S", " 20S", "S1", "1SS", "1 S", "00000020S"]
        over = ["0S", "0m", "0n"]
        about, texts = self._random.choice([("good", good), ("bad", bad), ("over", over)])
        text = self._random.choice(texts)
        return self._call(
            f"timed: {about} {text!r}", path, self._body(path), [(b"grpc-timeout", text.strip().encode())]
        )

    def _dressed(self) -> RawCall:
        """More header fields than needed."""
        path = self._path()
        body = self._body(path)
        extra: Fields = []
        framed = None
        way = self._random.randrange(8)
        if way == 0:
            extra = [(b"x-%d" % index, self._text()) for index in range(self._random.randint(1, 20))]
        elif way == 1:
            extra = [(b"x-data-bin", self._random.choice([b"AAEC", b"AAE", b"", b"AA==", b"A", b"*", b"AAEC,AAEC"]))]
        elif way == 2:
            extra = [(b"grpc-encoding", b"gzip")]
            framed = message(gzip.compress(body, mtime=0), 1)
        elif way == 3:
            extra = [(b"grpc-encoding", b"deflate")]
            framed = message(zlib.compress(body), 1)
        elif way == 4:
            extra = [(b"grpc-encoding", self._random.choice([b"gzip", b"identity", b"br", b"snappy"]))]
            framed = message(body, self._random.randrange(2))
        elif way == 5:
            extra = [(b"grpc-accept-encoding", b"identity,deflate,gzip"), (b"user-agent", b"test/1")]
        elif way == 6:
            extra = [(b"x-long", b"v" * self._random.choice([100, 4_000, 7_000]))]
        else:
            extra = [(b"x-same", b"1"), (b"x-same", b"2"), (b"x-empty", b"")]
        return self._call(f"dressed: {way}", path, body, extra, framed=framed)

    def _stray(self) -> RawCall:
        """To a path where nothing is, or with another content type of gRPC."""
        if self._random.randrange(2):
            path = self._random.choice(_UNKNOWN)
            return self._call("stray: path", path, self._body(_PREDICT[0]))
        path = self._path()
        call = self._call("stray: type", path, self._body(path))
        kinds = [b"application/grpc+proto", b"application/grpc+json", b"application/grpc;charset=utf-8"]
        kind = self._random.choice(kinds)
        fields = [(name, kind if name == b"content-type" else value) for name, value in call.fields]
        return RawCall(f"stray: {kind!r} at {path}", fields, call.pieces, call.ends)

    def _large(self) -> RawCall:
        path = self._random.choice((_PREDICT[0], _INFER[0]))
        size = self._random.choice([LARGEST_MESSAGE, LARGEST_MESSAGE + 1, LARGEST_MESSAGE + 5, 300_000])
        head = b"\x22" + _varint(size - 4)
        body = head + b"\0" * (size - len(head))
        # Inflated to more than the limit, grpcio tells how much more; we have not looked.
        if size > LARGEST_MESSAGE or self._random.randrange(2):
            return self._call("large", path, body)
        framed = message(gzip.compress(body, mtime=0), 1)
        return self._call("large: compressed", path, None, [(b"grpc-encoding", b"gzip")], framed=framed)

    # ------------------------------------------------------------------ their parts

    def _path(self) -> str:
        return self._random.choice((*PATHS, *_PREDICT, *_INFER))

    def _own_path(self) -> str:
        """Without health, which is grpcio's own code there: to a broken message it answers UNKNOWN."""
        path = self._path()
        return path if path != _HEALTH else self._own_path()

    def _text(self) -> bytes:
        return bytes(
            self._random.choices(b"abc XYZ-_.~!\"#$%&'()*+,/:;<=>?@[\\]^`{|}", k=self._random.randint(1, 30))
        ).strip()

    def _call(
        self, about: str, path: str, body: bytes | None, extra: Fields | None = None, *, framed: bytes | None = None
    ) -> RawCall:
        fields: Fields = [
            *grpc_fields(path),
            (b"seldon-puid", b"p%d" % self._count),
            *(extra or []),
        ]
        whole = framed if framed is not None else message(body or b"")
        return RawCall(
            f"{about} at {path}", fields, self._pieces(whole), self._random.choice(("data", "data", "empty"))
        )

    def _pieces(self, whole: bytes) -> tuple[bytes, ...]:
        if len(whole) > 5_000 or self._random.randrange(4):
            return tuple(whole[at : at + 16_384] for at in range(0, len(whole), 16_384))
        cuts = sorted(self._random.randint(0, len(whole)) for _ in range(self._random.randint(1, 4)))
        return tuple(whole[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True))

    def _body(self, path: str) -> bytes:
        method = path.rpartition("/")[2]
        made = self._makers().get(method)
        if made is None:
            return b""
        return bytes(made().SerializeToString(deterministic=True))

    def _makers(self) -> dict[str, Callable[[], Any]]:
        return {
            "Predict": self._message,
            "TransformInput": self._message,
            "TransformOutput": self._message,
            "Route": self._message,
            "SendFeedback": lambda: pb.Feedback(request=self._message(), reward=self._random.choice([0.0, 1.0, -2.5])),
            "Aggregate": lambda: pb.SeldonMessageList(
                seldonMessages=[self._message() for _ in range(self._random.randrange(4))]
            ),
            "ModelMetadata": lambda: self._random.choice([pb.SeldonModelMetadataRequest, oi.ModelMetadataRequest])(
                name=self._name()
            ),
            "ModelReady": lambda: oi.ModelReadyRequest(name=self._name(), version=self._random.choice(["", "1"])),
            "ModelInfer": self._infer,
            "RepositoryIndex": lambda: oi.RepositoryIndexRequest(ready=bool(self._random.randrange(2))),
        }

    def _name(self) -> str:
        return self._random.choice(["units", "units", "units", "other", "", "ünits"])

    def _message(self) -> pb.SeldonMessage:
        told = pb.SeldonMessage()
        self._fill(told, self._random.randrange(9))
        if self._random.randrange(3) == 0:
            told.meta.tags["t"].string_value = "v"
            told.meta.routing["r"] = self._random.randint(-1, 3)
            if self._random.randrange(2):
                told.meta.metrics.add(key="k", type=1, value=1.5)
        if self._random.randrange(8) == 0:
            told.status.info = "as if"
        return told

    def _fill(self, told: pb.SeldonMessage, kind: int) -> None:
        rows, columns = self._random.randint(0, 5), self._random.randint(1, 5)
        values = self._numbers.normal(size=(rows, columns))
        if kind <= 2:
            told.data.tensor.shape.extend(self._shape(rows, columns))
            told.data.tensor.values.extend(values.reshape(-1).tolist())
        elif kind <= 4:
            rows_of: list[Any] = values.tolist()
            if kind == 4 and rows_of:
                rows_of[0] = self._random.choice([["a", None, True], [], [[1.0]], "boom"])
            told.data.ndarray.extend(rows_of)
        elif kind == 5:
            told.strData = self._random.choice(["", "text", "boom", "ü€"])
        elif kind == 6:
            told.binData = self._random.randbytes(self._random.randint(0, 40))
        elif kind == 7:
            told.jsonData.struct_value["a"] = self._random.choice([1.0, "b", None, True])
        if kind <= 4 and self._random.randrange(2):
            told.data.names.extend(f"c{index}" for index in range(self._random.choice([columns, 0, 1])))

    def _shape(self, rows: int, columns: int) -> Sequence[int]:
        odd = [[rows * columns], [rows, -1], [1 << 30, 1 << 30], [], [rows + 1, columns]]
        return self._random.choice([[rows, columns]] * 6 + odd)

    def _infer(self) -> oi.ModelInferRequest:
        asked = oi.ModelInferRequest(model_name=self._name(), id=self._random.choice(["", "7"]))
        if self._random.randrange(10) == 0:
            asked.model_version = "9"
        for index in range(self._random.choice([1, 1, 1, 0, 2])):
            self._input(asked, index)
        if self._random.randrange(6) == 0:
            asked.outputs.add(name=self._random.choice(["output_0", "nothing"]))
        return asked

    def _input(self, asked: oi.ModelInferRequest, index: int) -> None:
        rows, columns = self._random.randint(0, 4), self._random.randint(1, 4)
        kind, field = self._random.choice(
            [
                ("FP32", "fp32_contents"),
                ("FP64", "fp64_contents"),
                ("INT64", "int64_contents"),
                ("BOOL", "bool_contents"),
            ]
        )
        tensor = asked.inputs.add(name=f"x{index}", datatype=self._random.choice([kind] * 9 + ["FP99"]))
        tensor.shape.extend(self._shape(rows, columns))
        if self._random.randrange(2):
            size = {"FP32": 4, "FP64": 8, "INT64": 8, "BOOL": 1}[kind]
            asked.raw_input_contents.append(self._random.choice([b"\0", b"\1"]) * (rows * columns * size))
        else:
            getattr(tensor.contents, field).extend([self._random.randrange(2)] * (rows * columns))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
