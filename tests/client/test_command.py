"""``penstock predict`` against real servers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from penstock.cli import predict as command
from penstock.cli.predicted import show_prediction
from penstock.client import Prediction
from penstock.proto import Kind, Message, Meta, Payload, PayloadError, PenstockError, SetupError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_TOKEN", raising=False)
    monkeypatch.setenv("GRPC_VERBOSITY", "NONE")


def run(*arguments: str, data: bytes | None = None, token: str | None = None) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode="rich")
    app.callback()(lambda: None)
    command.register(app)
    env = {"PENSTOCK_TOKEN": token} if token else None
    return CliRunner().invoke(app, ["predict", *arguments], input=data, env=env)


def done(*arguments: str, data: bytes | None = None, token: str | None = None) -> bytes:
    result = run(*arguments, data=data, token=token)
    assert result.exception is None, result.output
    return result.stdout_bytes


ROWS = "[[5.1, 3.5], [1.0, 2.0]]"


def test_a_plain_line_in_a_pipe(echo: Any) -> None:
    assert done("-a", echo.address, ROWS) == b"[[5.1,3.5],[1.0,2.0]]\n"


def test_the_whole_answer_as_json(echo: Any) -> None:
    said = done("-a", echo.address, ROWS, "--names", "a, b", "--puid", "p1", "--output", "json")
    answer = json.loads(said)
    assert answer["data"] == {"names": ["a", "b"], "ndarray": [[5.1, 3.5], [1.0, 2.0]]}
    assert answer["meta"]["puid"] == "p1"


def test_a_table(echo: Any) -> None:
    said = done("-a", echo.address, ROWS, "--names", "width,height", "-o", "table").decode()
    for text in ("width", "height", "5.1", "3.5", " ms"):
        assert text in said


@pytest.mark.parametrize(
    ("kind", "content", "plain"),
    [
        ("strData", b"any text", b"any text\n"),
        ("binData", b"\x00\xff\x01", b"\x00\xff\x01"),
        ("jsonData", b'{"a":[true,null]}', b'{"a":[true,null]}\n'),
        ("tensor", b'{"shape":[1,2],"values":[1.5,2]}', b'{"shape":[1,2],"values":[1.5,2.0]}\n'),
    ],
)
def test_data_from_standard_input_and_from_a_file(
    echo: Any, tmp_path: Path, kind: str, content: bytes, plain: bytes
) -> None:
    path = tmp_path / "data"
    path.write_bytes(content)
    assert done("-a", echo.address, "-f", kind, data=content) == plain
    assert done("-a", echo.address, "-f", kind, "-", data=content) == plain
    assert done("-a", echo.address, "-f", kind, f"@{path}") == plain


def test_bytes_on_the_command_line_are_base64(echo: Any) -> None:
    assert done("-a", echo.address, "-f", "binData", "AP8B") == b"\x00\xff\x01"


def test_another_output_format(echo: Any) -> None:
    said = done("-a", echo.address, ROWS, "--output-format", "tensor")
    assert json.loads(said) == {"shape": [2, 2], "values": [5.1, 3.5, 1.0, 2.0]}


def test_the_token_comes_from_the_environment(rest_echo: Any) -> None:
    done("-a", rest_echo.address, ROWS, token="t0ken")
    assert rest_echo.seen.calls[0][1]["authorization"] == "Bearer t0ken"


def test_options_come_before_the_configuration(rest_echo: Any, tmp_path: Path) -> None:
    path = tmp_path / "client.toml"
    path.write_text(f'service-address = "{rest_echo.address}/a"\ntoken = "one"\n')
    done("--config", str(path), ROWS)
    done("--config", str(path), "-a", f"{rest_echo.address}/b", "--token", "two", ROWS)
    assert [(where, headers["authorization"]) for where, headers, _ in rest_echo.seen.calls] == [
        ("/a", "Bearer one"),
        ("/b", "Bearer two"),
    ]


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (("[[1]]",), SetupError, "give --address or --config"),
        (("-a", "localhost:1", "[[1,"), PayloadError, "not JSON"),
        (("-a", "localhost:1", "@/no/such/file"), SetupError, "cannot read /no/such/file"),
        (("-a", "localhost:1", "[[1]]", "--deadline", "0.05"), PenstockError, "localhost:1"),
        (("-a", "localhost:1", "[[1]]", "--deadline", "-1"), SetupError, "greater than 0"),
    ],
)
def test_what_cannot_be_done_is_an_error_of_ours(
    arguments: tuple[str, ...], kind: type[PenstockError], text: str
) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, kind)
    assert text in result.exception.message


def test_an_error_is_one_line_and_exit_code_1(free_port: int) -> None:
    program = [sys.executable, "-c", "from penstock.cli import main; main()", "predict"]
    ended = subprocess.run([*program, "-a", f"localhost:{free_port}", "[[1]]", "--deadline", "5"], capture_output=True)
    assert ended.returncode == 1
    assert ended.stdout == b""
    assert re.fullmatch(rb"error: cannot reach grpc://localhost:\d+: connection refused; .*\n", ended.stderr)


def test_help_has_examples() -> None:
    said = done("--help").decode()
    assert "Examples" in said
    assert "'[[5.1, 3.5, 1.4, 0.2]]'" in said


def shown(payload: Payload, capsys: pytest.CaptureFixture[str]) -> str:
    show_prediction(Prediction(Message(payload, Meta(puid="p1", request_path={"m": "i:2"})), 0.0123))
    return capsys.readouterr().out


def test_what_a_terminal_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert "m 2 · puid p1 · 12.3 ms" in shown(Payload(Kind.STR_DATA, "[/] not markup"), capsys)
    assert "[/] not markup" in shown(Payload(Kind.STR_DATA, "[/] not markup"), capsys)
    assert "5,000 bytes" in shown(Payload(Kind.BIN_DATA, b"x" * 5000), capsys)
    assert "the beginning of 100 rows" in shown(Payload(Kind.TENSOR, np.zeros((100, 3))), capsys)
    assert "(9,000 characters)" in shown(Payload(Kind.STR_DATA, "x" * 9000), capsys)
    assert "0.333333" in shown(Payload(Kind.TENSOR, np.array([1 / 3])), capsys)
    assert '"a"' in shown(Payload(Kind.JSON_DATA, {"a": 1}), capsys)
    assert "[]" in shown(Payload(Kind.NDARRAY, np.array([])), capsys)
