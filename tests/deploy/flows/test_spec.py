"""Specs, values, records and templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.deploy.flows.parts import chain, flow, identifier, processor, records

from penstock.deploy.flows import Override, Spec, load_spec, template, templates, to_text
from penstock.deploy.flows._record import of_parameter, record_of, to_parameter
from penstock.deploy.flows._template import of_definition
from penstock.deploy.flows._tree import to_tree
from penstock.deploy.flows._wanted import Values, check_secrets, with_values
from penstock.proto.errors import ServiceError, SetupError

if TYPE_CHECKING:
    from pathlib import Path

SPEC = """
name = "greetings"
template = "chain.json"
running = true

[parameters]
greeting = "good morning"
times = 3
loud = true

[secrets]
password = "GREETINGS_PASSWORD"

[processors.make]
tasks = 2
schedule = "5 sec"
run-duration = 25

[processors."mark".properties]
mark = 7

[services.reader.properties]
"Date Format" = "yyyy"
"""


def test_a_spec_says_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "greetings.toml"
    path.write_text(SPEC)
    assert load_spec(path) == Spec(
        name="greetings",
        template="chain.json",
        running=True,
        parameters={"greeting": "good morning", "times": "3", "loud": "true"},
        secrets={"password": "GREETINGS_PASSWORD"},
        processors={"make": Override(2, "5 sec", 25), "mark": Override(properties={"mark": "7"})},
        services={"reader": Override(properties={"Date Format": "yyyy"})},
        folder=tmp_path,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('template = "x"', "name is missing"),
        ('name = "x"', "template is missing"),
        ('name = "x"\ntemplate = "y"\nruning = true', "unknown key 'runing'"),
        ('name = "x"\ntemplate = "y"\nrunning = "yes"', "running is true or false"),
        ('name = "x"\ntemplate = "y"\n[parameters]\na = [1]', "parameters.a is a text"),
        ('name = "x"\ntemplate = "y"\n[processors.p]\ntasks = 0', "processors.p.tasks is a whole number from 1 on"),
        ('name = "x"\ntemplate = "y"\n[processors.p]\ntasks = true', "a whole number"),
        ('name = "x"\ntemplate = "y"\n[services.p]\ntasks = 1', "unknown key 'tasks'"),
        ('name = "x"\ntemplate = "y"\nparameters = 1', "parameters is a table"),
        ("name = ", "is no TOML"),
    ],
)
def test_a_spec_that_means_nothing_names_the_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(SetupError, match=words) as caught:
        load_spec(path)
    assert str(path) in caught.value.message


def test_values_go_into_the_definition_and_nowhere_else() -> None:
    definition = chain()
    values = Values({"greeting": "bye"}, {"make": Override(4, "1 sec", 50), "mark": Override(properties={"mark": "9"})})
    changed = to_tree(with_values(definition, values))
    assert definition == chain()
    make = changed["flowContents"]["processors"][identifier("make")]
    assert [make[key] for key in ("concurrentlySchedulableTaskCount", "schedulingPeriod", "runDurationMillis")] == [
        4,
        "1 sec",
        50,
    ]
    assert changed["flowContents"]["processors"][identifier("mark")]["properties"] == {"mark": "9"}
    assert changed["parameterContexts"]["chain"]["parameters"]["greeting"]["value"] == "bye"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (Values({"greting": "x"}), "no parameter 'greting'; it has greeting, password"),
        (Values({"password": "x"}), "'password' is a secret"),
        (Values(processors={"mak": Override(1)}), "no processor 'mak'; there are: make, mark, tell"),
        (Values(services={"reader": Override()}), "no service 'reader'; there are: none"),
    ],
)
def test_values_for_what_is_not_there_are_refused(values: Values, words: str) -> None:
    with pytest.raises(SetupError, match=words):
        with_values(chain(), values)


def test_two_processors_of_one_name_are_told_apart_by_their_group() -> None:
    twice = flow("f", processor("a", "LogAttribute"), processor("a", "LogAttribute", identifier="other"))
    with pytest.raises(SetupError, match="2 processors 'a'"):
        with_values(twice, Values(processors={"a": Override(2)}))
    inner = twice["flowContents"]["processors"].pop()
    group = {"identifier": "g", "name": "inside", "componentType": "PROCESS_GROUP", "processors": [inner]}
    twice["flowContents"]["processGroups"] = [group]
    changed = with_values(twice, Values(processors={"inside/a": Override(3)}))
    (inside,) = changed["flowContents"]["processGroups"]
    assert inside["processors"][0]["concurrentlySchedulableTaskCount"] == 3
    assert changed["flowContents"]["processors"][0]["concurrentlySchedulableTaskCount"] == 1


def test_only_sensitive_parameters_are_secrets() -> None:
    tree = to_tree(chain())
    check_secrets(tree, {"password": "x"})
    with pytest.raises(SetupError, match="'greeting' is no secret"):
        check_secrets(tree, {"greeting": "x"})
    with pytest.raises(SetupError, match="no parameter 'nope'"):
        check_secrets(tree, {"nope": "x"})


def test_a_record_comes_back_as_it_was() -> None:
    values = Values({"greeting": "ü"}, {"make": Override(2)}, {})
    record = record_of("group-id", of_definition(chain(), "chain"), values, chain("ü"), records())
    parameter = to_parameter(record)
    assert of_parameter(parameter["value"]) == record
    assert "chain" in parameter["description"]
    assert record.flow == "chain"


@pytest.mark.parametrize("value", ["", "hello", "penstock 2 abc", "penstock 1 !!!", "penstock 1 aGVsbG8="])
def test_a_damaged_record_is_told(value: str) -> None:
    with pytest.raises(ServiceError, match=r"penstock\.record"):
        of_parameter(value)


def test_a_template_is_a_name_a_file_or_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "flow.json").write_text(to_text(chain()))
    (folder / "README.md").write_text("# Mine\n\nGreets people, and\nlogs it. And more.\n")
    by_folder, by_file = template(folder), template("mine/flow.json", tmp_path)
    assert by_folder == by_file
    assert (by_folder.name, by_folder.version, by_folder.summary) == ("mine", "", "Greets people, and logs it")
    assert len(by_folder.digest) == 64
    with pytest.raises(SetupError, match="no template 'nothing'"):
        template("nothing")


def test_penstocks_own_templates_are_found_and_clean() -> None:
    found = templates()
    assert {each.name for each in found} >= {"image-recognition", "files-to-predictions"}
    for each in found:
        assert template(each.name) == each
        assert each.version
        assert to_text(each.definition) == each.path.read_text(encoding="utf-8")
