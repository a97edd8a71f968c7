"""``penstock dlq`` as it is typed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ..typed import Ran, typed

if TYPE_CHECKING:
    from .conftest import Letters

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]


def dlq(*arguments: str) -> Ran:
    return typed("dlq", *arguments)


def test_a_day_with_dead_letters(letters: Letters) -> None:
    letters.add(b"{nope", b"station-1", [("puid", b"p-1"), ("a", None), ("a", b"\xff")])
    letters.add(b"[1, 2]", b"station-2", reason="MODEL_FAILED")
    letters.add(None, b"station-3", reason="NULL_VALUE")
    letters.flush()
    there = ("--topic", letters.dead, "--bootstrap", letters.cluster.address)

    listed = dlq("list", *there)
    assert [line.split("\t")[2:4] for line in listed.stdout.splitlines()] == [
        ["station-1", "INVALID_JSON"],
        ["station-2", "MODEL_FAILED"],
        ["station-3", "NULL_VALUE"],
    ]
    assert "1 MODEL_FAILED" in listed.stderr

    (shown,) = map(json.loads, dlq("show", *there, "--at", "0/0", "--output", "json").stdout.splitlines())
    assert (shown["value"], shown["puid"], shown["attempts"]) == ("{nope", "p-1", 2)
    assert shown["headers"] == [["puid", "p-1"], ["a", None], ["a", {"base64": "/w=="}]]
    assert "MODEL_FAILED: line 1: not JSON" in dlq("show", *there, "--key", "station-2").stdout

    assert dlq("replay", *there, "--dry-run").stdout.startswith(f"3 would be replayed into {letters.source}\n")
    assert dlq("replay", *there, "--reason", "MODEL_FAILED").stdout.startswith(f"1 replayed into {letters.source}\n")
    told = json.loads(dlq("replay", *there, "--output", "json").stdout)
    assert (told["records"], told["reasons"]) == (2, {"INVALID_JSON": 1, "NULL_VALUE": 1})
    assert dlq("replay", *there).stdout == f"nothing to replay in {letters.dead}\n"
    assert sorted(value or b"" for _, value, _ in letters.replayed()) == [b"", b"[1, 2]", b"{nope"]

    assert dlq("list", *there).stdout == ""
    assert dlq("list", *there, "--all").stdout.count("replayed") == 3
    assert dlq("purge", *there, "--handled").stdout.endswith("; 3 deleted\n")
    assert dlq("list", *there, "--all").stdout == ""


def test_what_is_asked_before_a_purge(letters: Letters) -> None:
    letters.add(b"1")
    letters.flush()
    there = ("--topic", letters.dead, "--bootstrap", letters.cluster.address)
    refused = dlq("purge", *there)
    assert (refused.code, refused.stdout) == (1, "")
    assert f"this would forget 1 dead letters of {letters.dead} for good; say --yes" in refused.stderr
    assert dlq("purge", *there, "--yes", "--output", "json").stdout == '{"noted": 1, "deleted": 1, "left": 0}\n'


def test_what_is_wrong_is_one_line(letters: Letters) -> None:
    there = ("--topic", letters.dead, "--bootstrap", letters.cluster.address)
    letters.write(letters.dead, b"from elsewhere", None, [])
    letters.flush()
    for arguments, said in (
        (("list",), "which dead letters?"),
        (("list", *there, "--at", "here"), "--at 'here' is no place"),
        (("list", *there, "--since", "yesterday"), "'yesterday' is no time"),
        (("list", "--topic", "x", "--bootstrap", "nowhere"), "bootstrap is host:port"),
        (("list", "--topic", f"{letters.name}-none", *there[2:]), f"there is no topic '{letters.name}-none'"),
        (("replay", *there), f"1 records of {letters.dead} are no dead letters of Penstock"),
    ):
        result = dlq(*arguments)
        assert result.code == 1, arguments
        assert said in result.stderr.splitlines()[-1]
        assert "Traceback" not in result.stderr
