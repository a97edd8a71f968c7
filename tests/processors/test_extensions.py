"""What NiFi reads from the files without running them, and what they have in common."""

from __future__ import annotations

import ast
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import pytest

CONNECTION = [
    "Model name",
    "Service address",
    "Deadline",
    "Retries",
    "Maximum message size",
    "Token",
    "Token address",
    "Client id",
    "User",
    "Password",
    "Trusted certificates",
]
OWN = {
    "InvokeModel": ["Input format", "Feature names", "Output format", "Rows per FlowFile"],
    "InvokeModelRecord": ["Feature fields", "Prediction field"],
}


def processor(name: str) -> ast.ClassDef:
    source = files("penstock.processors").joinpath(f"extensions/{name}.py").read_text()
    return next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name)


def properties(name: str) -> dict[str, dict[str, Any]]:
    found = {}
    for node in processor(name).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            values = {each.arg: each.value for each in node.value.keywords if each.arg}
            about = {key: ast.unparse(value) for key, value in values.items()}
            found[ast.literal_eval(values["name"])] = about
    return found


@pytest.mark.parametrize("name", OWN)
def test_details_are_literals_and_the_version_is_the_package_s(name: str) -> None:
    inner = {node.name: node for node in processor(name).body if isinstance(node, ast.ClassDef)}
    details = {
        ast.unparse(node.targets[0]): ast.literal_eval(node.value)
        for node in inner["ProcessorDetails"].body
        if isinstance(node, ast.Assign)
    }
    assert details["version"] == version("penstock")
    assert details["description"]
    assert "dependencies" not in details  # they come bundled


@pytest.mark.parametrize("name", OWN)
def test_the_names_that_flows_keep_for_ever(name: str) -> None:
    found = properties(name)
    assert sorted(found) == sorted(CONNECTION + OWN[name])
    assert {key for key, about in found.items() if about.get("sensitive")} == {"Token", "Password"}


def test_the_connection_is_the_same_for_both() -> None:
    one, other = properties("InvokeModel"), properties("InvokeModelRecord")
    assert {key: one[key] for key in CONNECTION} == {key: other[key] for key in CONNECTION}
