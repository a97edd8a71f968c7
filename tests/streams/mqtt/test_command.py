"""``penstock mqtt`` as it is typed."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from penstock.cli import build
from penstock.proto import PayloadError, SetupError
from penstock.streams.mqtt.questions import questions

from .conftest import total, window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result

    from penstock.deploy.mqtt import Broker

    from .conftest import Case


@contextmanager
def program(*arguments: str, until: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that runs until it is stopped, and what it said up to the line with ``until``."""
    command = [sys.executable, "-u", "-m", "penstock.cli", "mqtt", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if until in line:
                break
        try:
            yield process, said
        finally:
            process.kill()


def fetched(page: str) -> str:
    with urllib.request.urlopen(page, timeout=60) as reply:
        return str(reply.read().decode())


def ask(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(build(), ["mqtt", "ask", *arguments], input=stdin)


def test_serve_and_ask(local: Broker, case: Case, tmp_path: Path) -> None:
    server, client = str(case.server()), str(case.client())
    readings = tmp_path / "readings.csv"
    rows = [f"1,{number},{number * 100}.5" for number in range(8)]
    readings.write_text("station_id,reading_time,norm_value\n" + "\n".join(rows) + "\n")
    with program("serve", server, "--metrics-port", "0", until="ready") as (process, said):
        one = ask(client, window(1.0).decode())
        assert one.exit_code == 0
        text = f'{{"LSTM": {total(1.0)}}}'
        assert one.stdout == f"Data sent\nmessage topic= {case.replies('lstm')}\nReturned Results: {text}\n"

        several = ask(client, "--file", str(readings), "--output", "json")
        assert [json.loads(json.loads(line)["reply"]) for line in several.stdout.splitlines()] == [
            {"LSTM": 1503.0},
            {"LSTM": 2103.0},
            {"LSTM": 2703.0},
        ]
        assert [json.loads(line)["attempts"] for line in several.stdout.splitlines()] == [1, 1, 1]

        bad = ask(client, "--file", "-", "--limit", "2", stdin=f"{window(2.0).decode()}\n\nnonsense\nleft\n")
        assert bad.exit_code == 4
        assert bad.stdout.splitlines()[2] == f'Returned Results: {{"LSTM": {total(2.0)}}}'
        assert '"INVALID_JSON"' in bad.stdout.splitlines()[5]
        assert bad.stderr == "1 without a result\n"

        found = re.search(r"http://127.0.0.1:\d+/metrics", said)
        assert found is not None
        metrics = fetched(found[0])
        ends = time.monotonic() + 60
        while "penstock_mqtt_in_hand 0.0" not in metrics and time.monotonic() < ends:
            metrics = fetched(found[0])  # the client may have a reply before the broker has confirmed it
        assert 'penstock_mqtt_requests_total{tenant="lstm"} 6.0' in metrics
        assert 'penstock_mqtt_errors_total{code="INVALID_JSON"} 1.0' in metrics
        assert "penstock_mqtt_in_hand 0.0" in metrics

        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=30)[0]
        assert process.returncode == 0
        assert "stopped: 6 requests, 6 replies, 1 of them errors, 0 duplicates" in rest


def test_nobody_serves(local: Broker, case: Case) -> None:
    result = ask(str(case.client(deadline=0.2, attempts=1)), window().decode(), "--output", "json")
    assert result.exit_code == 4
    assert json.loads(result.stdout)["error"] == "DEADLINE_EXCEEDED"


def test_what_cannot_begin_is_one_line(case: Case, free_port: int) -> None:
    server = case.at(free_port).server(broker_service={"start_timeout": 0.1})
    command = [sys.executable, "-m", "penstock.cli", "mqtt", "serve", str(server)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: no connection to 127.0.0.1:{free_port}: ")
    assert "Traceback" not in done.stderr
    assert ask(str(case.client())).exit_code == 2
    assert CliRunner().invoke(build(), ["mqtt", "serve", str(server), "--worker", "a/b"]).exit_code == 2


def test_a_broker_to_try_with(mosquitto: None) -> None:
    with program("broker", "--port", "0", until="Ctrl-C") as (process, said):
        found = re.match(r"mosquitto at 127\.0\.0\.1:(\d+);", said)
        assert found is not None
        socket.create_connection(("127.0.0.1", int(found[1])), 5).close()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(found[1])), 5)


def test_windows_are_made_for_each_series_alone(tmp_path: Path) -> None:
    file = tmp_path / "readings.csv"
    rows = [f"{station},122,{value}" for value in range(7) for station in (1, 2)]
    file.write_text("station_id,parameter_id,mine\n" + "\n".join(rows))
    made = [list(json.loads(each).values()) for each in questions(file, "mine")]
    assert made == [[5, 4, 3, 2, 1, 0]] * 2 + [[6, 5, 4, 3, 2, 1]] * 2


def test_files_of_requests(tmp_path: Path) -> None:
    normed = tmp_path / "normed.csv"
    normed.write_text("index,norm_1,norm_2,norm_3,norm_4,norm_5,norm_6\n0,1,2,3,4,5,6.5\n")
    (tmp_path / "list.json").write_text('[[1, 2], {"a": 1}]')
    (tmp_path / "one.json").write_text('{"a": 1}')
    (tmp_path / "lines.jsonl").write_text("1\n\n 2 \n")
    assert [list(json.loads(each).values()) for each in questions(normed)] == [[1, 2, 3, 4, 5, 6.5]]
    assert list(questions(tmp_path / "list.json")) == [b"[1, 2]", b'{"a": 1}']
    assert list(questions(tmp_path / "one.json")) == [b'{"a": 1}']
    assert list(questions(tmp_path / "lines.jsonl")) == [b"1", b"2"]


@pytest.mark.parametrize(
    ("name", "text", "error", "told"),
    [
        ("a.csv", "x,y\n1,2\n", SetupError, "has no column norm_value, but x, y"),
        ("a.csv", "norm_value\n1\nx\n", PayloadError, "line 3 has no number"),
        ("a.json", "{", PayloadError, "is no JSON"),
        ("a.csv", None, SetupError, "cannot be read"),
    ],
)
def test_files_that_hold_no_requests(
    tmp_path: Path, name: str, text: str | None, error: type[Exception], told: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(error, match=told):
        list(questions(tmp_path / name))
