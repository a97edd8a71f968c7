"""``penstock flow`` as people type it, on a real NiFi."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.deploy.flows.parts import chain
from typer.testing import CliRunner

from penstock.cli import build
from penstock.deploy.ports import free_port

if TYPE_CHECKING:
    from tests.deploy.flows.conftest import Canvas


def _flow(*arguments: str, address: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_NIFI")}
    return subprocess.run(
        [sys.executable, "-m", "penstock.cli", "flow", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=environment | {"PENSTOCK_NIFI_ADDRESS": address},
    )


@pytest.mark.nifi
@pytest.mark.xdist_group("nifi")
def test_a_flows_life_on_the_command_line(canvas: Canvas) -> None:
    name, template = canvas.name(), canvas.file(chain())
    spec = canvas.folder / "spec.toml"
    spec.write_text(
        f'name = "{name}"\ntemplate = "{template.name}"\nrunning = true\n[parameters]\ngreeting = "hi"\n'
        '[secrets]\npassword = "THE_PASSWORD"\n'
    )

    environment = {"PENSTOCK_NIFI_ADDRESS": canvas.nifi.address, "THE_PASSWORD": "hunter2"}

    def flow(*arguments: str, given: str = "") -> str:
        # Not a process each: importing nipyapi takes seconds.
        done = CliRunner().invoke(build(), ["flow", *arguments], input=given, env=environment, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert "hunter2" not in done.output
        return done.stdout

    options = ("-t", str(template), "--parent", canvas.group, "--secret", "password", "-o", "json")
    made = json.loads(flow("create", name, *options, given="pw\n"))
    assert (made["name"], made["state"]) == (name, "stopped")
    shown = flow("apply", str(spec), "--dry-run")
    assert "~ parameter 'greeting': value: hello → hi" in shown
    assert "would be changed and started" in shown
    assert "changed and started" in flow("apply", str(spec))
    assert "nothing to change" in flow("apply", str(spec))
    assert json.loads(flow("apply", str(spec), "-o", "json"))["changed"] is False
    (line,) = (each for each in flow("list").splitlines() if each.startswith(name))
    assert line.split("\t")[1] == "running"
    assert {each["name"] for each in json.loads(flow("list", "-o", "json"))} >= {name}
    details = json.loads(flow("show", name, "-o", "json"))
    assert details["parameters"][1] == {
        "name": "password",
        "value": None,
        "secret": True,
        "is_set": True,
        "description": "",
    }
    assert "password\t(secret)" in flow("show", name)
    canvas.run(name, "mark", "STOPPED")
    canvas.edit(name, "mark", config={"properties": {"mark": "2"}})
    assert flow("diff", name) == "~ processor 'mark': mark: 1 → 2\n"
    assert flow("open", name).strip() == canvas.flows.address_of(name)
    exported = canvas.folder / "exported.json"
    flow("export", name, "--to", str(exported))
    assert flow("export", name) == exported.read_text(encoding="utf-8")
    newer = str(canvas.file(chain("hi", mark="3")))
    assert "kept as on the canvas: mark / mark" in flow("upgrade", name, "--to", newer, "--dry-run")
    assert "mark: 2 → 3" in flow("upgrade", name, "--to", newer, "--dry-run", "--overwrite")
    assert "is stopped" in flow("stop", name)
    assert "is running" in flow("start", name)
    refused = _flow("delete", name, address=canvas.nifi.address)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert refused.stderr.startswith("error: ")
    assert "deleted" in flow("delete", name, "--drop-queued")


def test_no_nifi_is_one_line() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    done = _flow("list", address=address)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: no NiFi answers at {address}; `penstock nifi up` starts a local one\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "x", "--param", "novalue"), "--param takes NAME=VALUE, not 'novalue'"),
        (("create", "x", "--secret", "k=NOT_THERE"), "NOT_THERE for the secret 'k' is not set"),
        (("create", "x", "--secret", "k"), "there is no line for it on the standard input"),
        (("--user", "me", "list"), "PENSTOCK_NIFI_PASSWORD"),
    ],
)
def test_what_is_given_wrongly_is_told_before_anything_is_asked(arguments: tuple[str, ...], words: str) -> None:
    done = _flow(*arguments, address="http://127.0.0.1:1")
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_templates_are_listed() -> None:
    listed = json.loads(_flow("templates", "-o", "json", address="http://127.0.0.1:1").stdout)
    assert "image-recognition" in {each["name"] for each in listed}
