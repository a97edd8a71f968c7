"""Each template on a real NiFi: it is valid, does its work on real data, and comes back as it was."""

from __future__ import annotations

import base64
import json
import os
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from penstock.cli.demo import sftp
from penstock.cli.demo.provenance import Provenance
from penstock.deploy.flows import load, to_text
from penstock.deploy.ports import free_port

from .conftest import TEMPLATES, program, served, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Deployed, ImageModel

    Deploy = Callable[..., Deployed]

pytestmark = [pytest.mark.nifi, pytest.mark.xdist_group("nifi")]


def with_values(template: str, parameters: dict[str, str]) -> str:
    """The template's file, with these values in it."""
    definition = load(TEMPLATES / template / "flow.json")
    (context,) = definition["parameterContexts"].values()
    for parameter in context["parameters"]:
        if parameter["name"] in parameters:
            parameter["value"] = parameters[parameter["name"]]
    return to_text(definition)


def is_unchanged(deployed: Deployed, template: str, parameters: dict[str, str]) -> bool:
    return to_text(deployed.flows.export(deployed.name)) == with_values(template, parameters)


@pytest.mark.parametrize("template", sorted(path.parent.name for path in TEMPLATES.glob("*/flow.json")))
def test_the_file_is_clean(template: str) -> None:
    path = TEMPLATES / template / "flow.json"
    assert to_text(load(path)) == path.read_text()


def test_images_from_both_sources_are_recognised(deploy: Deploy, image_model: ImageModel, tmp_path: Path) -> None:
    """GenerateFlowFile sends one that the template has not in it, a real SSH server has others and what is none."""
    first, *others = image_model.pictures[:6]
    (tmp_path / "deeper").mkdir()
    for number, picture in enumerate(others):
        folder = tmp_path / "deeper" if number == 0 else tmp_path
        (folder / picture.name).write_bytes(picture.png)
    (tmp_path / "broken.png").write_bytes(others[0].png[:100])
    (tmp_path / "notes.txt").write_text("no image")
    before = time.time() - 3600
    for path in tmp_path.rglob("*.png"):
        os.utime(path, (before, before))  # ListSFTP holds back what has changed just now: it may still be written
    port = str(free_port())
    start_sftp = program("penstock.cli.demo.sftp", str(tmp_path), port, ready="ready", **{sftp.PASSWORD: "open sesame"})
    with served(image_model.folder) as (_, address), start_sftp:
        parameters = {
            "service-address": address,
            "image-base64": base64.b64encode(first.png).decode(),
            "sftp-port": port,
            "sftp-user": sftp.USER,
        }
        deployed = deploy("image-recognition", parameters, {"sftp-password": "open sesame"})
        provenance = Provenance(deployed.nifi, deployed.processor("InvokeModel"))
        wanted = {picture.name: picture.label for picture in others}
        until(lambda: wanted.keys() < {each.file for each in provenance.predictions(100)})
        known = {each.file: each.answer for each in provenance.predictions(100)}
        assert {name: known.pop(name)[0][0] for name in wanted} == {
            name: f"digit-{label}" for name, label in wanted.items()
        }
        # What is left is the FlowFile of GenerateFlowFile, whose name is an id of its own.
        ((one, *more),) = known.values()
        assert one[0] == f"digit-{first.label}"
        assert len(more) == 2
        (failed,) = until(lambda: deployed.queued("failures"))
        assert failed["attributes"]["filename"] == "broken.png"
        assert "broken or cut off" in failed["attributes"]["invokemodel.error.message"]
        waiting = {each["attributes"]["filename"] for each in deployed.queued("predictions")}
        assert wanted.keys() < waiting
    assert is_unchanged(deployed, "image-recognition", parameters)


def test_files_become_files_of_predictions(deploy: Deploy, sums: str, tmp_path: Path) -> None:
    there, here = tmp_path / "in", tmp_path / "out"
    there.mkdir()
    parameters = {
        "service-address": sums,
        "model-name": "sums",
        "input-folder": str(there),
        "output-folder": str(here),
    }
    deployed = deploy("files-to-predictions", parameters)
    (there / "rows.json").write_text("[[1, 2], [3, 4]]")
    (there / "broken.json").write_text("[[1, 2], [3")
    (there / "ignored.txt").write_text("[[1]]")
    answer = here / "rows.prediction.json"
    until(lambda: answer.exists() and answer.read_text())
    assert json.loads(answer.read_text()) == [[3], [7]]
    (failed,) = until(lambda: deployed.queued("failures"))
    assert failed["attributes"]["filename"] == "broken.json"
    assert failed["attributes"]["invokemodel.error.code"]
    assert failed["size"] == 11
    assert [path.name for path in here.iterdir()] == ["rows.prediction.json"]
    assert (there / "rows.json").exists()
    assert is_unchanged(deployed, "files-to-predictions", parameters)


def test_http_is_answered_with_the_prediction_or_the_reason(deploy: Deploy, sums_folder: Path) -> None:
    port = str(free_port())
    with served(sums_folder) as (process, address):
        parameters = {"service-address": address, "model-name": "sums", "listen-port": port}
        deployed = deploy("http-to-prediction", parameters)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            answer = client.post("/predict", content="[[1, 2], [3, 4]]")
            assert (answer.status_code, answer.json()) == (200, [[3], [7]])
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["puid"]
            refused(client.post("/predict", content="[[1, 2], [3"), 400)
            refused(client.post("/predict", content="[[666]]"), 502)
            assert client.post("/elsewhere", content="[[1]]").status_code == 404
            assert client.get("/predict").status_code == 405
            process.kill()
            process.wait()
            refused(client.post("/predict", content="[[1, 2]]"), 503)
    assert is_unchanged(deployed, "http-to-prediction", parameters)


def refused(answer: httpx.Response, status: int) -> None:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"]) == (status, status), body
    assert answer.headers["content-type"] == "application/json"
    assert body["code"]
    assert body["message"]
