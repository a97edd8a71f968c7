"""What a spec may say, and how it is told what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.proto import Kind, PayloadError, SetupError
from penstock.streams import load_stream
from penstock.streams.calls import secret
from penstock.streams.pointers import Pointer

SMALLEST = """
name = "iris"
[source]
topic = "measurements"
format = "ndarray"
[service]
address = "grpc://127.0.0.1:5000"
[sink]
topic = "predictions"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "stream.toml"
    path.write_text(text)
    return path


def test_the_smallest_spec_and_what_it_leaves_to_us(tmp_path: Path) -> None:
    stream = load_stream(write(tmp_path, SMALLEST))
    assert stream.source.format is Kind.NDARRAY
    assert stream.sink.format is None
    assert stream.dead_letter == "iris-dead-letters"
    assert (stream.kafka.group, stream.kafka.session_timeout) == ("penstock-iris", 8.0)
    assert (stream.batch.records, stream.batch.wait) == (1024, 0.0)
    assert (stream.engine, stream.guarantee) == ("pipe", "at_least_once")


@pytest.mark.parametrize(
    ("engine", "service", "records"),
    [
        ("pipe", 'model = "model.onnx"', 2048),
        ("pipe", 'address = "grpc://127.0.0.1:5000"', 1024),
        ("faust", 'model = "model.onnx"', 256),
    ],
)
def test_the_batches_fit_the_engine_and_the_model(tmp_path: Path, engine: str, service: str, records: int) -> None:
    (tmp_path / "model.onnx").touch()
    text = SMALLEST.replace('address = "grpc://127.0.0.1:5000"', service)
    assert load_stream(write(tmp_path, f'engine = "{engine}"\n{text}')).batch.records == records
    assert load_stream(write(tmp_path, f'engine = "{engine}"\n{text}[batch]\nrecords = 7\n')).batch.records == 7


def test_everything_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    (tmp_path / "model.onnx").touch()
    text = """
        name = "all"
        engine = "pipe"
        guarantee = "exactly_once"
        [source]
        topic = "a"
        format = "ndarray"
        features = ["/d/x", "y"]
        start = "latest"
        on_null = "skip"
        [service]
        model = "model.onnx"
        deadline = 1
        concurrency = 2
        [sink]
        topic = "b"
        format = "tensor"
        field = "/answer"
        [dead_letter]
        topic = "c"
        [batch]
        records = 64
        rows = 100
        wait = 0.5
        [kafka]
        bootstrap = "one:9092, two:9092"
        group = "g"
        session_timeout = 10
        start_timeout = 1
        create_topics = false
        partitions = 6
        [kafka.security]
        protocol = "SASL_SSL"
        mechanism = "SCRAM-SHA-512"
        username = "me"
        password_env = "KAFKA_PASSWORD"
        ca_file = "ca.pem"
    """
    stream = load_stream(write(tmp_path, text))
    assert (stream.engine, stream.guarantee) == ("pipe", "exactly_once")
    assert stream.source.features == (Pointer(("d", "x")), Pointer(("y",)))
    assert stream.source.names == ("x", "y")
    assert stream.service.model == tmp_path / "model.onnx"
    assert stream.sink.field == Pointer(("answer",))
    assert stream.kafka.security.ca_file == tmp_path / "ca.pem"
    assert (stream.kafka.partitions, stream.kafka.create_topics) == (6, False)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name = "iris"', "", "name is missing"),
        ('name = "iris"', 'name = "a b"', "name is 'a b'; allowed are 1 to 64 letters"),
        ('name = "iris"', "name = 3", "name is a text, not 3"),
        ('format = "ndarray"', 'format = "json"', "source.format is 'json'; allowed are binData, strData, jsonData"),
        ('format = "ndarray"', "", "source.format is missing"),
        (
            'format = "ndarray"',
            'formt = "x"\nformat = "ndarray"',
            "source.formt is not a key here; did you mean format",
        ),
        (
            'format = "ndarray"',
            'format = "ndarray"\nencoding = "base64"',
            "source.encoding is base64, which only binData",
        ),
        ('format = "ndarray"', 'format = "tensor"\nfeatures = ["a", "b"]', "source.features names several columns"),
        ('format = "ndarray"', 'format = "ndarray"\nfeatures = "/"', "source.features '/' points at nothing"),
        ('format = "ndarray"', 'format = "ndarray"\nfeatures = 3', "source.features is a text or a list of texts"),
        ('topic = "predictions"', 'topic = "a/b"', "sink.topic is 'a/b'; Kafka allows"),
        ('topic = "predictions"', 'topic = "measurements"', "source and sink have the same topic"),
        ('address = "grpc://127.0.0.1:5000"', "", "service needs one of address"),
        ('address = "grpc://127.0.0.1:5000"', 'address = "a:1"\nmodel = "stream.toml"', "service needs one of address"),
        ('address = "grpc://127.0.0.1:5000"', 'model = "none.onnx"', "service.model is 'none.onnx', but there is no"),
        ('name = "iris"', 'name = "iris"\nsource2 = 1', "source2 is not a key here; did you mean source"),
        ("[sink]", "[batch]\nrecords = 0\n[sink]", "batch.records is a whole number, 1 or more, not 0"),
        ("[sink]", "[batch]\nrecords = true\n[sink]", "batch.records is a whole number, 1 or more, not True"),
        ("[sink]", "[batch]\nwait = -1\n[sink]", "batch.wait is a number of seconds from 0 to 60, not -1"),
        ("[sink]", "[kafka]\nbootstrap = 'here'\n[sink]", "kafka.bootstrap is host:port"),
        ("[sink]", "[kafka]\nsession_timeout = 2\n[sink]", "kafka.session_timeout is a number of seconds from 6"),
        ("[sink]", "[kafka]\ncreate_topics = 'no'\n[sink]", "kafka.create_topics is true or false, not 'no'"),
        ("[sink]", "[kafka.security]\npassword = 'x'\n[sink]", "kafka.security.password would be a secret in a file"),
        ("[sink]", "[kafka.security]\nprotocol = 'SASL_SSL'\n[sink]", "needs username and password_env"),
        ('name = "iris"', 'name = "iris"\nengine = "flink"', "engine is 'flink'; allowed are pipe, faust"),
        (
            'name = "iris"',
            'name = "iris"\nengine = "faust"\nguarantee = "exactly_once"',
            'guarantee is exactly_once, which engine "faust" cannot give: its output is outside of the transaction.',
        ),
        ("[sink]", "[sink", "is no TOML"),
        ("[source]", "source = 3\n[source2]", "source is a table; write it as [source]"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_key(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = write(tmp_path, SMALLEST.replace(old, new, 1))
    with pytest.raises(SetupError) as failed:
        load_stream(path)
    assert told in failed.value.message
    assert failed.value.message.startswith(f"{path}: ")


def test_bytes_cannot_be_put_into_json(tmp_path: Path) -> None:
    text = (
        SMALLEST.replace('format = "ndarray"', 'format = "ndarray"\nfeatures = "x"') + 'field = "y"\nformat = "binData"'
    )
    with pytest.raises(SetupError, match=r"sink\.field puts the answer into JSON, which has no binData"):
        load_stream(write(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read: No such file"):
        load_stream(tmp_path / "none.toml")


def test_a_secret_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH", raising=False)
    with pytest.raises(SetupError, match="NO_SUCH"):
        secret("NO_SUCH")
    assert secret("") == ""


@pytest.mark.parametrize(
    ("pointer", "found"),
    [("x", 1), ("/x", 1), ("/a/0/b", 2), ("/c~1d", 3), ("/e~0f", 4), ("/a/0", {"b": 2})],
)
def test_a_pointer_finds(pointer: str, found: object) -> None:
    record = {"x": 1, "a": [{"b": 2}], "c/d": 3, "e~f": 4}
    assert Pointer.parse(pointer).get(record) == found


@pytest.mark.parametrize("pointer", ["/y", "/x/y", "/a/1", "/a/-1", "/a/²", "/a/b"])
def test_a_pointer_to_nothing(pointer: str) -> None:
    with pytest.raises(PayloadError) as failed:
        Pointer.parse(pointer).get({"x": 1, "a": [{"b": 2}]})
    assert failed.value.code == "MISSING_FIELD"


def test_a_pointer_puts_and_makes_its_way() -> None:
    record = {"x": 1}
    Pointer.parse("/a/b").put(record, 2)
    assert record == {"x": 1, "a": {"b": 2}}
    with pytest.raises(PayloadError, match="no object to put /x/y into"):
        Pointer.parse("/x/y").put(record, 2)
    with pytest.raises(PayloadError, match="no object to put /x into"):
        Pointer.parse("/x").put([1], 2)


def test_the_example_shows_the_true_defaults(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "docs" / "examples" / "stream.toml"
    text = example.read_text()
    spelled_out = [
        line.removeprefix("# ")
        for line in text.splitlines()
        if not line.startswith(("# A stream", "# model =", "# features ="))
    ]
    assert load_stream(write(tmp_path, "\n".join(spelled_out))) == load_stream(example)
