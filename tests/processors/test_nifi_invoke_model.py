"""InvokeModel on a real NiFi."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psutil
import pytest
from tests.serving.conftest import served

from penstock.proto import Kind
from penstock.serving.settings import Settings

from .conftest import DOUBLE, ECHO
from .group import FlowFile, Group, until
from .test_invocation import CONTENTS, IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.conftest import RunningNiFi
    from tests.serving.conftest import Served

pytestmark = [pytest.mark.nifi, pytest.mark.xdist_group("nifi")]

DEFAULTS: dict[str, str | None] = {
    "Model name": "echo",
    "Input format": "ndarray",
    "Output format": "same as input",
    "Rows per FlowFile": "one payload",
    "Feature names": None,
    "Deadline": "20 sec",
    "Retries": "3",
    "Maximum message size": "64 MB",
}


class Flow:
    """Files to InvokeModel, and each of its relationships to a queue."""

    def __init__(self, group: Group, folder: Path) -> None:
        self.group = group
        self.folder = folder
        self.files = group.add("GetFile", {"Input Directory": str(folder), "Keep Source File": "false"})
        self.marks = group.add("UpdateAttribute")
        self.model = group.add("InvokeModel", {**DEFAULTS, "Service address": "127.0.0.1:1"}, drop=["original"])
        group.connect(self.files, ["success"], self.marks)
        group.connect(self.marks, ["success"], self.model)
        self.queues = {name: group.connect(self.model, [name]) for name in ("success", "failure", "retry")}
        group.run(self.files)

    def ask(
        self,
        *contents: bytes,
        into: str = "success",
        attributes: Mapping[str, str] | None = None,
        tasks: int = 1,
        **properties: Any,
    ) -> list[FlowFile]:
        """What comes out of a relationship for these contents; property names with _ for a space."""
        given = {name.replace("_", " "): value for name, value in properties.items()}
        self.group.stop(self.marks, self.model)
        self.group.configure(self.marks, attributes or {})
        self.group.configure(self.model, {**DEFAULTS, **given}, concurrentlySchedulableTaskCount=tasks)
        self.group.run(self.marks, self.model)
        for number, content in enumerate(contents):
            hidden = self.folder / f".{number}-{uuid4().hex}"
            hidden.write_bytes(content)
            hidden.rename(self.folder / hidden.name[1:])
        try:
            return self.group.arrived(self.queues[into], len(contents), 60)
        finally:
            self.group.stop(self.marks)
            self.group.configure(self.marks, dict.fromkeys(attributes or {}))
            for queue in self.queues.values():
                self.group.empty(queue)


@pytest.fixture(scope="module")
def flow(nifi: RunningNiFi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flow]:
    with Group(nifi.address, "test InvokeModel") as group:
        yield Flow(group, tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="session")
def echo(serve_source: Callable[..., Served]) -> str:
    return serve_source(ECHO, "echo").grpc


@pytest.mark.parametrize("kind", list(Kind))
def test_every_format_there_and_back(flow: Flow, echo: str, kind: Kind) -> None:
    content, mime_type = CONTENTS[kind]
    (answer,) = flow.ask(content, Service_address=echo, Input_format=kind.value)
    assert answer.content == content
    assert answer.attributes["mime.type"] == mime_type
    assert answer.attributes["invokemodel.model"] == "echo"
    assert answer.attributes["invokemodel.puid"]
    assert float(answer.attributes["invokemodel.latency.ms"]) > 0


def test_rest_and_another_format(flow: Flow, serve_source: Callable[..., Served]) -> None:
    address = serve_source(ECHO, "echo").http
    (answer,) = flow.ask(b"[[1,2]]", Service_address=address, Output_format="tensor")
    assert answer.content == b'{"shape":[1,2],"values":[1.0,2.0]}'


def test_large_content_comes_back_as_it_went(flow: Flow, echo: str) -> None:
    sizes = [1, 6_000, 8_192, 65_536, 300_000, 3_000_000]
    contents = [(IMAGE * 200)[:size] for size in sizes]
    answers = flow.ask(*contents, Service_address=echo, Input_format="binData", tasks=3)
    assert sorted(len(answer.content) for answer in answers) == sizes
    assert {answer.content for answer in answers} == set(contents)


def test_a_bad_payload_goes_to_failure_as_it_came(flow: Flow, echo: str) -> None:
    (answer,) = flow.ask(b"[[1,2", into="failure", Service_address=echo)
    assert answer.content == b"[[1,2"
    assert answer.attributes["invokemodel.error.code"] == "INVALID_JSON"
    assert answer.attributes["invokemodel.error.message"]
    assert "invokemodel.puid" not in answer.attributes


def test_content_that_is_too_large_is_not_even_read(flow: Flow, echo: str) -> None:
    limits: dict[str, Any] = {"Maximum_message_size": "10 KB"}
    (answer,) = flow.ask(b"x" * 20_000, into="failure", Service_address=echo, Input_format="strData", **limits)
    assert answer.content == b"x" * 20_000
    assert answer.attributes["invokemodel.error.code"] == "MESSAGE_TOO_LARGE"


def test_nobody_there_goes_to_retry_as_it_came(flow: Flow, free_port: int) -> None:
    (answer,) = flow.ask(b"[[1,2]]", into="retry", Service_address=f"127.0.0.1:{free_port}", Retries="0")
    assert answer.content == b"[[1,2]]"
    assert answer.attributes["invokemodel.error.code"] == "UNAVAILABLE"
    assert "cannot reach" in answer.attributes["invokemodel.error.message"]


def test_rows_by_line_in_their_order(flow: Flow, serve_source: Callable[..., Served]) -> None:
    content = "".join(f"[{number},{number}]\n" for number in range(200)).encode()
    address = serve_source(DOUBLE, "double").grpc
    row = "one row per line"
    (answer,) = flow.ask(content, Service_address=address, Model_name="double", Rows_per_FlowFile=row)
    assert [json.loads(line) for line in answer.content.splitlines()] == [[2 * n, 2 * n] for n in range(200)]
    assert answer.attributes["mime.type"] == "application/x-ndjson"
    assert answer.attributes["invokemodel.names"] == "a,b"


def test_the_attribute_with_the_names_wins(flow: Flow, echo: str) -> None:
    names: dict[str, Any] = {"Feature_names": "x,y"}
    (answer,) = flow.ask(b"[[1,2]]", Service_address=echo, **names)
    assert answer.attributes["invokemodel.names"] == "x,y"
    (answer,) = flow.ask(b"[[1,2]]", Service_address=echo, attributes={"featureNames": "p,q"}, **names)
    assert answer.attributes["invokemodel.names"] == "p,q"


def test_expressions_and_lineage(flow: Flow, echo: str) -> None:
    marks = {"model": "echo", "columns": "a,b", "puid": "p-7"}
    (answer,) = flow.ask(
        b"[[1,2]]",
        Service_address=f"${{literal('{echo}')}}",
        Model_name="${model}",
        Feature_names="${columns:toUpper()}",
        attributes=marks,
    )
    assert answer.attributes["invokemodel.names"] == "A,B"
    assert answer.attributes["invokemodel.puid"] == "p-7"
    (answer,) = flow.ask(
        b"[[1]]", into="failure", Service_address=echo, Model_name="${model}", attributes={"model": ""}
    )
    assert answer.attributes["invokemodel.error.code"] == "NO_MODEL"


def test_parameters(flow: Flow, echo: str) -> None:
    parameters = {"address": echo, "name": "echo"}
    listed = [{"parameter": {"name": key, "value": value, "sensitive": False}} for key, value in parameters.items()]
    revision = {"version": 0}
    component = {"name": f"test {uuid4().hex}", "parameters": listed}
    nifi = flow.group.nifi
    context = nifi.post("/parameter-contexts", {"revision": revision, "component": component})
    _assign(flow.group, context["id"])
    try:
        (answer,) = flow.ask(b"[[1.5]]", Service_address="#{address}", Model_name="#{name}")
        assert answer.content == b"[[1.5]]"
    finally:
        flow.group.stop(flow.model)
        flow.group.configure(flow.model, {**DEFAULTS, "Service address": echo})
        _assign(flow.group, None)
        nifi.delete(f"/parameter-contexts/{context['id']}", version=context["revision"]["version"])


def _assign(group: Group, context: str | None) -> None:
    entity = group.nifi.get(f"/process-groups/{group.id}")
    component = {"id": group.id, "parameterContext": {"id": context}}
    group.nifi.put(f"/process-groups/{group.id}", {"revision": entity["revision"], "component": component})


def test_concurrent_tasks_share_one_connection(flow: Flow, echo: str) -> None:
    contents = [json.dumps([[float(number)]], separators=(",", ":")).encode() for number in range(100)]
    answers = flow.ask(*contents, Service_address=echo, tasks=4)
    assert {answer.content for answer in answers} == set(contents)
    port = int(echo.rpartition(":")[2])
    until(lambda: len(_callers(port)) == 1, lambda: f"one connection: {_callers(port)}")
    flow.group.stop(flow.model)
    until(lambda: not _callers(port), lambda: f"closed: {_callers(port)}")


def _callers(port: int) -> list[Any]:
    """Who is connected to a port of this machine from NiFi's Python processes."""
    there = [each for each in psutil.net_connections("tcp") if each.raddr and each.raddr.port == port]
    return [each for each in there if each.pid and _is_nifis(each.pid)]


def _is_nifis(pid: int) -> bool:
    try:
        return "Controller.py" in " ".join(psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return False


def test_down_then_back(nifi: RunningNiFi, model_folder: Callable[[str], Path], free_port: int) -> None:
    with Group(nifi.address, "test retry") as group:
        source = group.add("GenerateFlowFile", {"generate-ff-custom-text": "[[1.5]]", "Batch Size": "50"})
        properties = {"Model name": "echo", "Service address": f"127.0.0.1:{free_port}", "Retries": "0"}
        model = group.add("InvokeModel", properties, drop=["original"], tasks=2)
        waiting = group.connect(source, ["success"], model)
        again = group.connect(model, ["retry"], model)
        done, failed = group.connect(model, ["success"]), group.connect(model, ["failure"])
        group.run(source, state="RUN_ONCE")
        until(lambda: group.queued(waiting) == 50, "50 wait")
        group.run(model)
        until(lambda: group.queued(again) > 0, "some are to be tried again")
        settings = Settings(model=model_folder(ECHO), name="echo", grpc_port=free_port, http_port=0, drain=1)
        with served(settings):
            answers = group.arrived(done, 50, 90)
        assert {answer.content for answer in answers} == {b"[[1.5]]"}
        assert {answer.attributes.get("invokemodel.error.code", "") for answer in answers} == {""}
        assert (group.queued(waiting), group.queued(again), group.queued(failed)) == (0, 0, 0)


def test_the_list_follows_a_service_created_later(
    nifi: RunningNiFi, model_folder: Callable[[str], Path], free_port: int
) -> None:
    with Group(nifi.address, "test list") as group:
        model = group.add("InvokeModel", {"Service address": f"127.0.0.1:{free_port}"})

        def offered() -> list[str]:
            values = group.processor(model)["config"]["descriptors"]["Model name"].get("allowableValues") or []
            return [each["allowableValue"]["value"] for each in values]

        def errors() -> str:
            return " ".join(group.processor(model).get("validationErrors") or [])

        until(lambda: "enter the name of the model" in errors(), errors)
        assert offered() == []
        group.configure(model, {"Model name": "iris"})
        until(lambda: "Model name" not in errors(), errors)
        settings = Settings(model=model_folder(ECHO), name="later", grpc_port=free_port, http_port=0, drain=1)
        with served(settings):
            until(lambda: "does not know 'iris'; there is later" in errors(), errors)
            group.configure(model, {"Model name": None})
            until(lambda: offered() == ["later"], lambda: f"{offered()}")
            group.configure(model, {"Model name": "later"})
            until(lambda: offered() == ["later"], lambda: f"{offered()}")
            assert "Model name" not in errors()
        # The service is gone again: what is configured stays valid.
        until(lambda: offered() == [], lambda: f"{offered()}")
        assert "Model name" not in errors()
