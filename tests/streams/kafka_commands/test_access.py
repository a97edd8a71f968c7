"""Which broker is meant, and who we are there: the same for both clients, from a spec or from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from confluent_kafka import Producer

from penstock.cli.topics._broker import LOCAL, broker_of, stream_of
from penstock.proto import SetupError
from penstock.streams.consoles.client import _settings
from penstock.streams.librdkafka import librdkafka_settings

if TYPE_CHECKING:
    from penstock.streams import Kafka

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "stream.toml"


def test_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_KAFKA", raising=False)
    assert broker_of(None, None).bootstrap == LOCAL
    monkeypatch.setenv("PENSTOCK_KAFKA", "kafka:9093")
    assert broker_of(None, None).bootstrap == "kafka:9093"
    assert broker_of(None, "other:1,more:2").bootstrap == "other:1,more:2"
    stream = stream_of(EXAMPLE)
    assert stream is not None
    assert broker_of(stream, None) == stream.kafka
    assert broker_of(stream, "other:1").bootstrap == "other:1"
    with pytest.raises(SetupError, match=r"PENSTOCK_KAFKA_…: bootstrap is host:port"):
        broker_of(None, "nowhere")


def secured(monkeypatch: pytest.MonkeyPatch, ca_file: Path) -> Kafka:
    monkeypatch.setenv("PENSTOCK_KAFKA_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("PENSTOCK_KAFKA_MECHANISM", "SCRAM-SHA-512")
    monkeypatch.setenv("PENSTOCK_KAFKA_USERNAME", "iris")
    monkeypatch.setenv("PENSTOCK_KAFKA_PASSWORD", "a secret")
    monkeypatch.setenv("PENSTOCK_KAFKA_CA_FILE", str(ca_file))
    return broker_of(None, "kafka:9093")


def test_security_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(ca_file))
    kafka = secured(monkeypatch, ca_file)
    assert "a secret" not in repr(kafka)
    python = _settings(kafka)
    assert (python["security_protocol"], python["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (python["sasl_plain_username"], python["sasl_plain_password"]) == ("iris", "a secret")
    assert python["ssl_cafile"] == str(ca_file)
    library = librdkafka_settings(kafka)
    assert (library["sasl.username"], library["sasl.password"]) == ("iris", "a secret")
    Producer(library)  # it refuses a setting that it does not know, and a file that it cannot read


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PROTOCOL", "SSH", "security.protocol is 'SSH'; allowed are PLAINTEXT, SSL"),
        ("PROTOCOL", "SASL_SSL", "needs username and password_env"),
        ("CA_FILE", "/nowhere.pem", "security.ca_file is '/nowhere.pem', but there is no /nowhere.pem"),
    ],
)
def test_what_is_wrong_in_the_environment(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(f"PENSTOCK_KAFKA_{name}", value)
    with pytest.raises(SetupError) as caught:
        broker_of(None, None)
    assert said in caught.value.message
