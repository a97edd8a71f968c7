"""Flow deployments: flows on a NiFi's canvas that were made from a template and are kept like the spec says."""

from __future__ import annotations

from penstock.deploy.flows._definition import Definition, clean, load, to_text
from penstock.deploy.flows._differences import Change
from penstock.deploy.flows._flows import Flows, Outcome
from penstock.deploy.flows._reading import Bulletin, Component, Details, Parameter, Queue, Summary
from penstock.deploy.flows._spec import Override, Spec, load_spec, parameter_values, read_toml
from penstock.deploy.flows._template import Template, template, templates

__all__ = [
    "Bulletin",
    "Change",
    "Component",
    "Definition",
    "Details",
    "Flows",
    "Outcome",
    "Override",
    "Parameter",
    "Queue",
    "Spec",
    "Summary",
    "Template",
    "clean",
    "load",
    "load_spec",
    "parameter_values",
    "read_toml",
    "template",
    "templates",
    "to_text",
]
