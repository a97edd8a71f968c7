"""Every verb on a real NiFi."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

import pytest
from tests.deploy.flows.conftest import Canvas, until
from tests.deploy.flows.parts import chain, connection, flow, identifier, processor, records

from penstock.deploy.flows import Flows, Override, Spec, to_text
from penstock.proto.errors import RequestError, SetupError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.nifi, pytest.mark.xdist_group("nifi")]

LOG = "org.apache.nifi.processors.standard.LogAttribute"


def _spec(name: str, template: Path, **more: object) -> Spec:
    return Spec(name, str(template), secrets={"password": "UNUSED"}, **more)  # type: ignore[arg-type]


def test_a_deployment_is_created_shown_listed_and_deleted(canvas: Canvas) -> None:
    name = canvas.name()
    secrets = {"password": "hunter2"}
    made = canvas.flows.create(name, canvas.file(chain()), parameters={"greeting": "hi"}, secrets=secrets)
    assert (made.name, made.state, made.queued, made.invalid) == (name, "stopped", 0, 0)
    assert made in canvas.flows.list()
    assert canvas.flows.address_of(name) == made.address == canvas.nifi.canvas_of(made.group)
    found = canvas.flows.show(name)
    assert [(each.name, each.type, each.problems) for each in found.processors] == [
        ("make", "GenerateFlowFile", ()),
        ("mark", "UpdateAttribute", ()),
        ("tell", "LogAttribute", ()),
    ]
    assert [each.name for each in found.queues] == ["make → mark", "mark → tell"]
    assert [(each.name, each.value, each.secret, each.is_set) for each in found.parameters] == [
        ("greeting", "hi", False, True),
        ("password", None, True, True),
    ]
    assert "hunter2" not in json.dumps(canvas.flows.export(name))
    assert canvas.flows.diff(name) == ()
    assert canvas.flows.delete(name) == 0
    with pytest.raises(RequestError, match="no deployment") as caught:
        canvas.flows.show(name)
    assert caught.value.http_status == 404


@pytest.mark.parametrize("definition", [chain(), records()], ids=["chain", "records"])
def test_what_is_exported_is_what_was_imported_to_the_byte(canvas: Canvas, definition: dict[str, object]) -> None:
    first, second = canvas.name(), canvas.name()
    canvas.flows.create(first, canvas.file(definition))
    exported = to_text(canvas.flows.export(first))
    path = canvas.folder / "exported.json"
    path.write_text(exported, encoding="utf-8")
    canvas.flows.create(second, path)
    assert to_text(canvas.flows.export(second)) == exported
    assert canvas.flows.diff(second, path) == ()


def test_an_empty_deployment_has_parameters_and_can_be_upgraded_to_a_template(canvas: Canvas) -> None:
    name = canvas.name()
    made = canvas.flows.create(name, parameters={"greeting": "hello"})
    assert (made.state, made.template) == ("empty", "")
    canvas.add(name, LOG, "mine", autoTerminatedRelationships=["success"])
    with pytest.raises(SetupError, match="made without a template: say what it is to become"):
        canvas.flows.upgrade(name)
    outcome = canvas.flows.upgrade(name, canvas.file(chain()))
    assert {str(each) for each in outcome.changes} >= {"processor 'make' added", "parameter 'password' added"}
    assert set(canvas.states(name)) == {"make", "mark", "mine", "tell"}


def test_start_enables_services_and_stop_leaves_nothing_running(canvas: Canvas) -> None:
    name = canvas.name()
    canvas.flows.create(name, canvas.file(records()), start=True)
    found = canvas.flows.show(name)
    assert found.summary.state == "running"
    assert {each.state for each in found.services} == {"ENABLED"}
    until(lambda: canvas.processor(name, "convert")["status"]["aggregateSnapshot"]["flowFilesIn"])
    with pytest.raises(RequestError, match="is running; stop it first"):
        canvas.flows.delete(name)
    canvas.flows.stop(name)
    found = canvas.flows.show(name)
    assert {each.state for each in found.processors} == {"STOPPED"}
    assert {each.state for each in found.services} == {"DISABLED"}
    canvas.flows.start(name)
    assert canvas.flows.show(name).summary.state == "running"


def test_what_is_not_valid_is_not_started_in_part(canvas: Canvas) -> None:
    lonely = flow(
        "lonely", processor("alone", "LogAttribute"), processor("make", "GenerateFlowFile", ends=("success",))
    )
    name = canvas.name()
    with pytest.raises(RequestError, match=r"alone: .*upstream connection"):
        canvas.flows.create(name, canvas.file(lonely), start=True)
    assert set(canvas.states(name).values()) == {"STOPPED"}


def test_names_are_not_taken_twice_and_groups_of_others_not_taken_over(canvas: Canvas) -> None:
    name, by_hand = canvas.name(), canvas.name()
    canvas.flows.create(name)
    with pytest.raises(RequestError, match=r"a deployment is called .* already"):
        canvas.flows.create(name)
    with pytest.raises(RequestError, match="already"):
        Flows(canvas.nifi).create(name)  # in another group, too
    body = {"revision": {"version": 0}, "component": {"name": by_hand, "position": {"x": 0, "y": 0}}}
    there = canvas.nifi.post(f"/process-groups/{canvas.group}/process-groups", body)
    with pytest.raises(RequestError, match="Penstock did not make"):
        canvas.flows.apply(_spec(by_hand, canvas.file(chain())), {"password": "x"})
    with pytest.raises(RequestError, match="no deployment"):
        canvas.flows.show(by_hand)
    canvas.nifi.delete(f"/process-groups/{there['id']}", version=there["revision"]["version"])


def test_a_failed_create_leaves_nothing_behind(canvas: Canvas) -> None:
    before = canvas.nifi.get("/flow/parameter-contexts")["parameterContexts"]
    unknown = flow("unknown", processor("x", "org.example.Nonsense"))
    with pytest.raises(SetupError, match="does not have Nonsense"):
        canvas.flows.create(canvas.name(), canvas.file(unknown))
    with pytest.raises(SetupError, match="no parameter 'nope'"):
        canvas.flows.create(canvas.name(), canvas.file(chain()), parameters={"nope": "1"})
    with pytest.raises(SetupError, match="is a secret"):
        canvas.flows.create(canvas.name(), canvas.file(chain()), parameters={"password": "1"})
    assert len(canvas.nifi.get("/flow/parameter-contexts")["parameterContexts"]) == len(before)
    assert canvas.nifi.get(f"/process-groups/{canvas.group}/process-groups")["processGroups"] == []


def test_deployments_stand_beside_each_other(canvas: Canvas) -> None:
    for _ in range(3):
        canvas.flows.create(canvas.name())
    groups = canvas.nifi.get(f"/process-groups/{canvas.group}/process-groups")["processGroups"]
    places = [(each["component"]["position"]["x"], each["component"]["position"]["y"]) for each in groups]
    assert all(
        abs(one[0] - two[0]) >= 380 or abs(one[1] - two[1]) >= 170  # the size of a group on the canvas
        for index, one in enumerate(places)
        for two in places[:index]
    )


def test_a_group_that_was_deleted_by_hand_makes_room(canvas: Canvas) -> None:
    name = canvas.name()
    group = canvas.flows.create(name).group
    revision = canvas.nifi.get(f"/process-groups/{group}")["revision"]["version"]
    canvas.nifi.delete(f"/process-groups/{group}", version=revision)
    assert canvas.flows.create(name).group != group


def test_a_copy_made_on_the_canvas_is_no_deployment(canvas: Canvas) -> None:
    name = canvas.name()
    group = canvas.flows.create(name, canvas.file(chain())).group
    copied = canvas.nifi.post(f"/process-groups/{canvas.group}/copy", {"processGroups": [group]})
    revision = canvas.nifi.get(f"/process-groups/{canvas.group}")["revision"]
    pasted = canvas.nifi.ask(
        "PUT", f"/process-groups/{canvas.group}/paste", body={"copyResponse": copied, "revision": revision}
    )
    assert [each.group for each in canvas.flows.list() if each.name.startswith(name)] == [group]
    (copy_,) = pasted["flow"]["processGroups"]
    copy_ = canvas.nifi.get(f"/process-groups/{copy_['id']}")
    canvas.nifi.delete(f"/process-groups/{copy_['id']}", version=copy_["revision"]["version"])


def test_delete_refuses_to_lose_flowfiles(canvas: Canvas) -> None:
    name = canvas.name()
    canvas.flows.create(name, canvas.file(chain()))
    canvas.run(name, "make", "RUNNING")
    until(lambda: canvas.queued(name)["make → mark"])
    canvas.flows.stop(name)
    queued = sum(canvas.queued(name).values())
    with pytest.raises(RequestError, match=f"{queued} FlowFiles are queued"):
        canvas.flows.delete(name)
    assert canvas.flows.delete(name, drop_queued=True) == queued


def test_apply_twice_changes_nothing(canvas: Canvas) -> None:
    spec = _spec(
        canvas.name(),
        canvas.file(chain()),
        running=True,
        parameters={"greeting": "hi"},
        processors={"mark": Override(tasks=2, properties={"mark": "7"})},
    )
    secrets = {"password": "hunter2"}
    assert canvas.flows.apply(spec, secrets, dry_run=True).changed
    assert canvas.flows.apply(spec, secrets).created
    before = canvas.nifi.get(f"/process-groups/{canvas.group_of(spec.name)}")["revision"]
    again = canvas.flows.apply(spec, secrets)
    assert not again.changed
    assert canvas.nifi.get(f"/process-groups/{canvas.group_of(spec.name)}")["revision"] == before
    mark = canvas.processor(spec.name, "mark")["component"]
    assert mark["config"]["concurrentlySchedulableTaskCount"] == 2
    assert mark["config"]["properties"]["mark"] == "7"
    assert canvas.flows.show(spec.name).summary.state == "running"
    assert canvas.flows.apply(spec, secrets, renew_secrets=True).secrets == ("password",)


def test_apply_brings_parameters_state_and_settings_in_line(canvas: Canvas) -> None:
    name, template = canvas.name(), canvas.file(chain())
    canvas.flows.apply(_spec(name, template), {"password": "x"})
    wanted = _spec(
        name, template, running=True, parameters={"greeting": "ciao"}, processors={"tell": Override(tasks=3)}
    )
    dry = canvas.flows.apply(wanted, dry_run=True)
    assert [str(each) for each in dry.changes] == [
        "processor 'tell': tasks: 1 → 3",
        "parameter 'greeting': value: hello → ciao",
    ]
    assert dry.started
    assert canvas.flows.show(name).summary.state == "stopped"
    assert canvas.flows.apply(wanted).changes == dry.changes
    assert canvas.flows.show(name).summary.state == "running"
    stopped = canvas.flows.apply(_spec(name, template, running=False))
    assert stopped.stopped
    assert [str(each) for each in stopped.changes] == [
        "processor 'tell': tasks: 3 → 1",
        "parameter 'greeting': value: ciao → hello",
    ]
    assert canvas.flows.show(name).summary.state == "stopped"


def test_a_secret_without_a_value_is_asked_for(canvas: Canvas) -> None:
    name = canvas.name()
    with pytest.raises(SetupError, match="'password' has no value yet: set the environment variable UNUSED"):
        canvas.flows.apply(_spec(name, canvas.file(chain())), {})
    assert not any(each.name == name for each in canvas.flows.list())


def test_what_people_changed_on_the_canvas_is_kept_until_told(canvas: Canvas) -> None:
    spec = _spec(canvas.name(), canvas.file(chain()))
    canvas.flows.apply(spec, {"password": "x"})
    canvas.edit(spec.name, "mark", name="my mark", config={"properties": {"mark": "mine", "extra": "1"}})
    canvas.add(spec.name, LOG, "mine", autoTerminatedRelationships=["success"])
    canvas.connect(spec.name, "make", "mine")
    changed = {str(each) for each in canvas.flows.diff(spec.name)}
    assert changed == {
        "connection 'make → mine (success)' added",
        "processor 'mine' added",
        "processor 'my mark': name: mark → my mark",
        "processor 'my mark': mark: 1 → mine",
        "processor 'my mark': extra: not set → 1",
    }
    assert not canvas.flows.apply(spec).changed
    newer = canvas.flows.upgrade(spec.name, canvas.file(chain(mark="2", period="2 sec")))
    assert [str(each) for each in newer.changes] == ["processor 'make': schedule: 100 ms → 2 sec"]
    assert newer.conflicts == ("mark / mark: the canvas keeps 'mine', the template has '2'",)
    assert {str(each) for each in canvas.flows.diff(spec.name)} == changed - {"processor 'my mark': mark: 1 → mine"} | {
        "processor 'my mark': mark: 2 → mine"
    }
    undone = canvas.flows.upgrade(spec.name, canvas.file(chain(mark="2", period="2 sec")), overwrite=True)
    assert len(undone.changes) == 5
    assert canvas.flows.diff(spec.name) == ()
    assert set(canvas.states(spec.name)) == {"make", "mark", "tell"}


def test_an_upgrade_keeps_components_queues_and_what_ran(canvas: Canvas) -> None:
    name = canvas.name()
    canvas.flows.create(name, canvas.file(chain()), secrets={"password": "x"}, start=True)
    canvas.run(name, "tell", "STOPPED")
    until(lambda: canvas.queued(name)["mark → tell"] >= 3)
    ids = canvas.ids(name)
    more = (processor("count", "UpdateAttribute", {"n": "#{greeting}"}), connection("count", "tell"))
    newer = chain("bye", mark="2", more=(*more, connection("mark", "count")))
    outcome = canvas.flows.upgrade(name, canvas.file(newer))
    assert "processor 'count' added" in map(str, outcome.changes)
    assert {key: value for key, value in canvas.ids(name).items() if key != "count"} == ids
    assert canvas.states(name) == {"count": "RUNNING", "make": "RUNNING", "mark": "RUNNING", "tell": "STOPPED"}
    assert canvas.queued(name)["mark → tell"] >= 3
    assert next(each.is_set for each in canvas.flows.show(name).parameters if each.name == "password")
    assert not canvas.flows.upgrade(name, canvas.file(newer)).changed


def test_an_upgrade_refuses_where_flowfiles_are_in_its_way(canvas: Canvas) -> None:
    name = canvas.name()
    canvas.flows.create(name, canvas.file(chain()), start=True)
    canvas.run(name, "tell", "STOPPED")
    until(lambda: canvas.queued(name)["mark → tell"])
    shorter = flow(
        "chain",
        processor("make", "GenerateFlowFile", {"generate-ff-custom-text": "#{greeting}"}, schedulingPeriod="100 ms"),
        processor("mark", "UpdateAttribute", {"mark": "1"}, ends=("success",)),
        connection("make", "mark"),
        parameters=[{"name": "greeting", "value": "hello"}, {"name": "password", "sensitive": True}],
    )
    before = to_text(canvas.flows.export(name))
    with pytest.raises(RequestError, match=r"stays as it is: .* mark → tell \(\d+\)"):
        canvas.flows.upgrade(name, canvas.file(shorter))
    assert to_text(canvas.flows.export(name)) == before
    assert canvas.states(name) == {"make": "RUNNING", "mark": "RUNNING", "tell": "STOPPED"}
    canvas.run(name, "make", "STOPPED")
    canvas.run(name, "tell", "RUNNING")
    until(lambda: not sum(canvas.queued(name).values()))
    canvas.flows.upgrade(name, canvas.file(shorter))
    assert set(canvas.states(name)) == {"make", "mark"}


def test_an_invalid_version_is_taken_back_and_what_ran_runs(canvas: Canvas) -> None:
    name = canvas.name()
    canvas.flows.create(name, canvas.file(chain()), start=True)
    until(lambda: canvas.flows.show(name).summary.state == "running")
    before, ids = to_text(canvas.flows.export(name)), canvas.ids(name)
    bad = chain("bye", more=(processor("alone", "LogAttribute"),))
    bad = copy.deepcopy(bad)
    make = next(each for each in bad["flowContents"]["processors"] if each["identifier"] == identifier("make"))
    make["properties"]["Batch Size"] = "many"
    bad["parameterContexts"]["chain"]["parameters"].append({"name": "new", "value": "1", "sensitive": False})
    with pytest.raises(RequestError, match=r"make: 'Batch Size'.*is as it was before") as caught:
        canvas.flows.upgrade(name, canvas.file(bad))
    assert "alone" in caught.value.message
    assert to_text(canvas.flows.export(name)) == before
    assert canvas.ids(name) == ids
    assert set(canvas.states(name).values()) == {"RUNNING"}
    assert canvas.flows.diff(name) == ()


def test_secrets_typed_into_processors_survive_an_upgrade(canvas: Canvas) -> None:
    name = canvas.name()
    about = {"name": "Request Password", "sensitive": True, "identifiesControllerService": False}

    def calling(method: str) -> dict[str, object]:
        ends = ("Failure", "No Retry", "Original", "Response", "Retry")
        asks = processor(
            "ask",
            "InvokeHTTP",
            {"HTTP URL": "http://127.0.0.1:1", "HTTP Method": method, "Request Username": "u"},
            ends=ends,
            propertyDescriptors={"Request Password": about},
        )
        make = processor("make", "GenerateFlowFile", {"File Size": "1 B"})
        return flow("calling", make, asks, connection("make", "ask"))

    canvas.flows.create(name, canvas.file(calling("GET")))
    canvas.edit(name, "ask", config={"properties": {"Request Password": "hunter2"}})
    canvas.flows.upgrade(name, canvas.file(calling("POST")))
    properties = canvas.processor(name, "ask")["component"]["config"]["properties"]
    assert (properties["HTTP Method"], properties["Request Password"]) == ("POST", "********")
