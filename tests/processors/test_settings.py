"""Properties as NiFi gives them: texts, or nothing."""

from __future__ import annotations

import pytest

from penstock.client import PasswordGrant
from penstock.processors.names import read_names, write_names
from penstock.processors.settings import Connection, Formats, Rows, connection_of, formats_of, seconds
from penstock.proto import Kind, PayloadError, SetupError


def test_nothing_set_is_the_defaults() -> None:
    assert connection_of({"Service address": None, "Token": "  "}) == Connection()
    assert formats_of({}) == Formats(Kind.NDARRAY, None, Rows.ONE_PAYLOAD)
    assert formats_of({}).written is Kind.NDARRAY


def test_everything_set() -> None:
    values = {
        "Service address": " https://gateway/model-endpoints/iris ",
        "Deadline": "500 ms",
        "Retries": "0",
        "Maximum message size": "1.5 MB",
        "Token address": "https://login/token",
        "User": "ann",
        "Password": "secret",
        "Trusted certificates": "/ca.pem",
    }
    made = connection_of(values)
    assert made.token == PasswordGrant("https://login/token", "mxe-rest-client", "ann", "secret")
    assert (made.address, made.deadline, made.retries) == ("https://gateway/model-endpoints/iris", 0.5, 0)
    assert (made.max_message_bytes, made.ca_file) == (1_572_864, "/ca.pem")
    assert "secret" not in repr(made)


@pytest.mark.parametrize(
    ("text", "expected"), [("3 sec", 3), ("2 mins", 120), ("1 hr", 3600), ("250 millis", 0.25), ("5s", 5)]
)
def test_times(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "values",
    [
        {"Deadline": "3 parsecs"},
        {"Deadline": "soon"},
        {"Maximum message size": "1 acre"},
        {"Retries": "-1"},
        {"Token": "x", "Token address": "https://login"},
        {"Token address": "https://login", "User": "ann"},
    ],
)
def test_what_cannot_be_read_is_said(values: dict[str, str | None]) -> None:
    with pytest.raises(SetupError):
        connection_of(values)


def test_bytes_have_no_lines() -> None:
    with pytest.raises(SetupError, match="no lines"):
        formats_of({"Input format": "binData", "Rows per FlowFile": "one row per line"})


@pytest.mark.parametrize("names", [("a", "b"), ("one, two", "c"), ("[x]",), (" a",), ("a", "")])
def test_names_come_back(names: tuple[str, ...]) -> None:
    assert read_names(write_names(names)) == names


def test_names_as_people_write_them() -> None:
    assert read_names(" a, b ,c") == ("a", "b", "c")
    assert read_names(None) == read_names(" ") == ()
    with pytest.raises(PayloadError):
        read_names("[1]")
