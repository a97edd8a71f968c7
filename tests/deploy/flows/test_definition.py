"""A clean definition: the same flow, the same bytes."""

from __future__ import annotations

import copy
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from tests.deploy.flows.parts import chain, records

from penstock.deploy.flows import clean, load, to_text
from penstock.deploy.flows._definition import RECORD, own_comments, placed
from penstock.deploy.flows._tree import to_definition, to_tree
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path


def _as_nifi_would(definition: dict[str, Any], seed: int) -> dict[str, Any]:
    """The same flow as another NiFi exports it: other ids, other order, unset values, every descriptor."""
    chance = random.Random(seed)
    raw: dict[str, Any] = json.loads(
        json.dumps(definition).replace("00000000-0000-0000-0000-000000000000", f"root-{seed}")
    )
    contents = raw["flowContents"]
    contents["instanceIdentifier"] = f"instance-{seed}"
    contents["position"] = {"x": seed * 1.5, "y": 0.0}
    for kind in ("processors", "connections", "controllerServices"):
        chance.shuffle(contents[kind])
        for item in contents[kind]:
            item["instanceIdentifier"] = f"{item['identifier']}-{seed}"
    for item in contents["processors"]:
        item["properties"]["not set"] = None
        item["propertyDescriptors"]["plain"] = {
            "name": "plain",
            "identifiesControllerService": False,
            "sensitive": False,
        }
        item["position"] = {axis: float(value) for axis, value in item["position"].items()}
    raw["latest"] = False
    raw["snapshotMetadata"] = {"timestamp": seed}
    return raw


@pytest.mark.parametrize("definition", [chain(), records()], ids=["chain", "records"])
@pytest.mark.parametrize("seed", range(5))
def test_another_export_of_the_same_flow_is_the_same_text(definition: dict[str, Any], seed: int) -> None:
    assert to_text(clean(_as_nifi_would(definition, seed))) == to_text(definition)


@pytest.mark.parametrize("definition", [chain(), records()], ids=["chain", "records"])
def test_cleaning_twice_and_reading_back_change_nothing(definition: dict[str, Any]) -> None:
    assert clean(definition) == definition
    assert clean(json.loads(to_text(definition))) == definition
    assert to_definition(to_tree(definition)) == definition


def test_cleaning_leaves_what_it_was_given_alone() -> None:
    raw = _as_nifi_would(chain(), 3)
    before = copy.deepcopy(raw)
    clean(raw, "other")
    assert raw == before


def test_a_deployment_has_contexts_of_its_own_and_cleaning_takes_the_names_back() -> None:
    definition = chain()
    inner = {"name": "shared", "parameters": [], "inheritedParameterContexts": ["chain"]}
    definition["parameterContexts"]["shared"] = inner
    there = placed(definition, "my ü/flow")
    assert set(there["parameterContexts"]) == {"my ü/flow", "my ü/flow: shared"}
    assert there["parameterContexts"]["my ü/flow: shared"]["inheritedParameterContexts"] == ["my ü/flow"]
    assert there["flowContents"]["parameterContextName"] == "my ü/flow"
    assert clean(there, "chain") == clean(definition)


def test_a_group_that_was_renamed_keeps_its_context() -> None:
    there = placed(chain(), "new name", "old name")
    assert (there["flowContents"]["name"], there["flowContents"]["parameterContextName"]) == ("new name", "old name")
    assert clean(there, "chain") == chain()


def test_neither_secrets_nor_our_record_are_exported() -> None:
    raw = placed(chain(), "x")
    parameters = raw["parameterContexts"]["x"]["parameters"]
    next(each for each in parameters if each["name"] == "password")["value"] = "hunter2"
    parameters.append({"name": RECORD, "value": "penstock 1 …", "sensitive": False})
    text = to_text(clean(raw))
    assert "hunter2" not in text
    assert RECORD not in text


def test_an_empty_context_is_left_out() -> None:
    definition = placed(records(), "x")
    assert "x" in definition["parameterContexts"]
    assert clean(definition)["parameterContexts"] == {}


@pytest.mark.parametrize(
    ("comments", "own"),
    [
        ("", ""),
        ("Mine.", "Mine."),
        ("Penstock: from the template x", ""),
        ("Mine.\n\nPenstock: from the template x", "Mine."),
        ("Mine,\nof two lines.\n\nPenstock: being changed by h, process 1", "Mine,\nof two lines."),
        ("About Penstock: it is fine", "About Penstock: it is fine"),
    ],
)
def test_the_line_under_the_comments_is_not_part_of_the_flow(comments: str, own: str) -> None:
    assert own_comments(comments) == own


@pytest.mark.parametrize(
    ("text", "words"), [("{", "no JSON"), ("[]", "no flowContents"), ('{"a": 1}', "no flowContents")]
)
def test_what_is_no_definition_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "flow.json"
    path.write_text(text)
    with pytest.raises(SetupError, match=words):
        load(path)
    with pytest.raises(SetupError, match="cannot read"):
        load(tmp_path / "none.json")
