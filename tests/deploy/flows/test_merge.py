"""The three-way merge: laws that hold for any definitions, and the cases that have a story."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.deploy.flows.parts import chain, connection, flow, identifier, processor

from penstock.deploy.flows._differences import differences
from penstock.deploy.flows._merge import merge, rebased
from penstock.deploy.flows._tree import components, to_definition, to_tree

# How long an example takes says something about the machine, not about the merge.
laws = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

NAMES = ("a", "b", "c", "d")


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Any]:
    """Flows of up to four processors, which are the same ones in each flow, with what differs chosen at random."""
    there = sorted(draw(st.sets(st.sampled_from(NAMES))))
    parts = [
        processor(
            name,
            "UpdateAttribute",
            draw(st.dictionaries(st.sampled_from(["p", "q"]), st.sampled_from(["1", "2", "#{k}"]))),
            schedulingPeriod=draw(st.sampled_from(["0 sec", "1 sec"])),
            position={"x": draw(st.integers(0, 2)), "y": 0},
        )
        for name in there
    ]
    pairs = [(one, two) for one in there for two in there if one != two]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=4)) if pairs else []
    names = draw(st.sets(st.sampled_from(["k", "l"])))
    parameters = [{"name": name, "value": draw(st.sampled_from(["x", "y"]))} for name in sorted(names)]
    return to_tree(flow("any", *parts, *(connection(*pair) for pair in chosen), parameters=parameters))


@laws
@given(trees(), trees())
def test_one_side_alone_is_taken_as_it_is(base: dict[str, Any], other: dict[str, Any]) -> None:
    assert merge(base, other, base) == (other, [])
    merged, conflicts = merge(base, base, other)
    assert conflicts == []
    assert merged == other
    assert merge(base, other, other) == (other, [])


@laws
@given(trees(), trees(), trees())
def test_a_merge_is_whole_and_merging_again_changes_nothing(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    before = copy.deepcopy((base, ours, theirs))
    merged, _ = merge(base, ours, theirs)
    assert (base, ours, theirs) == before
    there = {item["identifier"] for _, kind, _, item in components(merged) if kind == "processors"}
    for _, kind, _, item in components(merged):
        if kind == "connections":
            assert {item["source"]["id"], item["destination"]["id"]} <= there
    again, _ = merge(theirs, merged, theirs)
    assert again == merged
    assert to_tree(to_definition(merged)) == merged


@laws
@given(trees(), trees())
def test_differences_are_there_exactly_where_something_differs(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert bool(differences(one, two)) == (one != two)
    assert len(differences(one, two)) == len(differences(two, one))


@laws
@given(trees(), trees())
def test_a_change_rebased_on_where_it_began_is_the_change(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert rebased(before, after, before) == after
    assert rebased(before, before, after) == after


def test_what_nifi_filled_in_stays_when_the_template_changes_something_else() -> None:
    deployed = to_tree(chain())
    deployed["flowContents"]["processors"][identifier("make")]["properties"]["File Size"] = "0B"
    theirs = rebased(to_tree(chain()), to_tree(chain(mark="2")), deployed)
    make, mark = (theirs["flowContents"]["processors"][identifier(name)] for name in ("make", "mark"))
    assert (make["properties"]["File Size"], mark["properties"]["mark"]) == ("0B", "2")


def test_both_sides_change_different_properties_of_one_processor() -> None:
    ours, theirs = to_tree(chain()), to_tree(chain(mark="2"))
    ours["flowContents"]["processors"][identifier("mark")]["properties"]["mine"] = "yes"
    merged, conflicts = merge(to_tree(chain()), ours, theirs)
    assert merged["flowContents"]["processors"][identifier("mark")]["properties"] == {"mark": "2", "mine": "yes"}
    assert conflicts == []


def test_both_sides_change_the_same_property_and_the_canvas_wins() -> None:
    merged, (conflict,) = merge(to_tree(chain()), to_tree(chain(mark="mine")), to_tree(chain(mark="theirs")))
    assert merged["flowContents"]["processors"][identifier("mark")]["properties"]["mark"] == "mine"
    assert (conflict.path[-1], conflict.ours, conflict.theirs) == ("mark", "mine", "theirs")


def _without(tree: dict[str, Any], name: str) -> dict[str, Any]:
    shorter = copy.deepcopy(tree)
    contents = shorter["flowContents"]
    del contents["processors"][identifier(name)]
    contents["connections"] = {
        key: each
        for key, each in contents["connections"].items()
        if identifier(name) not in (each["source"]["id"], each["destination"]["id"])
    }
    return shorter


def test_what_was_only_moved_goes_when_the_template_removes_it() -> None:
    base = to_tree(chain())
    ours = copy.deepcopy(base)
    ours["flowContents"]["processors"][identifier("tell")]["position"] = {"x": 500, "y": 1}
    merged, conflicts = merge(base, ours, _without(base, "tell"))
    assert identifier("tell") not in merged["flowContents"]["processors"]
    assert conflicts == []


def test_what_was_changed_stays_with_its_connections_when_the_template_removes_it() -> None:
    base = to_tree(chain())
    ours = copy.deepcopy(base)
    ours["flowContents"]["processors"][identifier("tell")]["properties"]["Log Level"] = "warn"
    merged, conflicts = merge(base, ours, _without(base, "tell"))
    assert identifier("tell") in merged["flowContents"]["processors"]
    assert identifier("mark to tell") in merged["flowContents"]["connections"]
    assert len(conflicts) == 1


def test_what_a_connection_of_the_user_needs_is_not_removed() -> None:
    base = to_tree(chain())
    more = (processor("mine", "LogAttribute", ends=("success",)), connection("tell", "mine"))
    merged, _ = merge(base, to_tree(chain(more=more)), _without(base, "tell"))
    assert identifier("tell") in merged["flowContents"]["processors"]
    assert identifier("tell to mine") in merged["flowContents"]["connections"]


def test_what_the_user_removed_does_not_come_back_and_takes_the_templates_new_connection_along() -> None:
    base = to_tree(chain())
    theirs = to_tree(chain(more=(processor("new", "UpdateAttribute"), connection("new", "tell"))))
    merged, _ = merge(base, _without(base, "tell"), theirs)
    assert identifier("tell") not in merged["flowContents"]["processors"]
    assert identifier("new") in merged["flowContents"]["processors"]
    assert identifier("new to tell") not in merged["flowContents"]["connections"]


def test_a_parameter_that_somebody_uses_is_not_removed() -> None:
    base = to_tree(chain())
    ours = to_tree(chain(mark="#{greeting}"))
    theirs = copy.deepcopy(base)
    del theirs["parameterContexts"]["chain"]["parameters"]["greeting"]
    theirs["flowContents"]["processors"][identifier("make")]["properties"]["generate-ff-custom-text"] = "hi"
    assert "greeting" in merge(base, ours, theirs)[0]["parameterContexts"]["chain"]["parameters"]
    assert "greeting" not in merge(base, base, theirs)[0]["parameterContexts"]["chain"]["parameters"]


def test_differences_read_like_sentences() -> None:
    before = to_tree(chain())
    after = copy.deepcopy(before)
    mark = after["flowContents"]["processors"][identifier("mark")]
    mark["properties"] |= {"mark": "2", "other": "line\nline"}
    mark["concurrentlySchedulableTaskCount"] = 4
    del after["flowContents"]["connections"][identifier("mark to tell")]
    after["parameterContexts"]["chain"]["parameters"]["greeting"]["value"] = "bye"
    after["flowContents"]["processors"][identifier("make")]["position"] = {"x": 9, "y": 9}
    assert [str(each) for each in differences(before, after)] == [
        "connection 'mark → tell (success)' removed",
        "processor 'make' moved",
        "processor 'mark': tasks: 1 → 4",
        "processor 'mark': mark: 1 → 2",
        "processor 'mark': other: not set → line⏎line",
        "parameter 'greeting': value: hello → bye",
    ]
