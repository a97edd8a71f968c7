"""The verbs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.deploy.flows import _states as states
from penstock.deploy.flows._changing import change
from penstock.deploy.flows._creating import create
from penstock.deploy.flows._definition import ROOT, Definition, clean, empty_context
from penstock.deploy.flows._differences import Change, differences
from penstock.deploy.flows._found import Deployment, deployments, find
from penstock.deploy.flows._planning import Target, plan
from penstock.deploy.flows._reading import Details, Summary, details, summaries
from penstock.deploy.flows._removing import delete
from penstock.deploy.flows._template import Template, of_definition, template, templates
from penstock.deploy.flows._tree import to_tree
from penstock.deploy.flows._wanted import Values, check_secrets
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from penstock.deploy.canvas import Connection
    from penstock.deploy.flows._spec import Spec


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an apply or upgrade did, or would do.

    Attributes:
        name: of the deployment.
        group: id of its process group; empty where it would only be created.
        address: of its canvas, likewise.
        created: whether it was not there before.
        changes: what became different.
        conflicts: what the template changes, too, but the canvas keeps.
        started: whether it was started.
        stopped: whether it was stopped.
        secrets: sensitive parameters that got a value.
    """

    name: str
    group: str
    address: str
    created: bool = False
    changes: tuple[Change, ...] = ()
    conflicts: tuple[str, ...] = ()
    started: bool = False
    stopped: bool = False
    secrets: tuple[str, ...] = field(default=())

    @property
    def changed(self) -> bool:
        """Whether anything is different now."""
        return self.created or bool(self.changes) or self.started or self.stopped or bool(self.secrets)


class Flows:
    """The flow deployments of one NiFi.

    Args:
        nifi: the connection.
        parent: id of the process group in which new ones are made; the outermost where not given.

    Example:
        >>> flows = Flows(connect())
        >>> flows.create("digits", "image-recognition", start=True)
    """

    def __init__(self, nifi: Connection, parent: str = "root") -> None:
        self._nifi = nifi
        self._parent = parent

    def create(
        self,
        name: str,
        from_template: str | Path | None = None,
        *,
        parameters: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        start: bool = False,
    ) -> Summary:
        """Make a deployment from a template, or an empty one.

        Args:
            name: of the deployment; what the canvas calls its group.
            from_template: a name, or a path to a flow definition.
            parameters: values by name, instead of the template's.
            secrets: values of sensitive parameters.
            start: whether it is started when it is made.

        Raises:
            RequestError: the name is taken; NiFi refuses; or it is made, but not valid and so not started.
            SetupError: no such template, parameter, or a processor that this NiFi does not have.
        """
        source = template(from_template) if from_template else of_definition(_empty(name), "")
        values = Values(parameters=dict(parameters or {}))
        group = create(self._nifi, name, source, values, secrets or {}, self._parent)
        if start:
            states.start(self._nifi, group)
        return details(self._nifi, self._find(group)).summary

    def list(self) -> tuple[Summary, ...]:
        """A line for each deployment, by name."""
        return summaries(self._nifi)

    def show(self, name: str) -> Details:
        """Everything about a deployment.

        Raises:
            RequestError: there is none of that name, or more than one; so for all that follow.
        """
        return details(self._nifi, self._find(name))

    def start(self, name: str) -> None:
        """Enable its services, start it, and wait until it runs.

        Raises:
            RequestError: a component is not valid; nothing was started.
        """
        states.start(self._nifi, self._find(name).group)

    def stop(self, name: str) -> None:
        """Stop it, wait until the last task has ended, and disable its services.

        Raises:
            DeadlineExceeded: a task does not end within a minute.
        """
        states.stop(self._nifi, self._find(name).group)

    def export(self, name: str) -> Definition:
        """The flow as it is on the canvas: clean, without ids of instances, without secrets."""
        return self._export(self._find(name))

    def diff(self, name: str, other: Path | None = None) -> tuple[Change, ...]:
        """What was changed on the canvas since it was deployed; or from a definition in a file to the canvas."""
        found = self._find(name)
        base = found.record.deployed if other is None else clean(template(other).definition, found.record.flow)
        return differences(to_tree(base), to_tree(self._export(found)))

    def apply(
        self,
        spec: Spec,
        secrets: Mapping[str, str] | None = None,
        *,
        overwrite: bool = False,
        renew_secrets: bool = False,
        dry_run: bool = False,
    ) -> Outcome:
        """Make what the spec describes, or change it until it is so; a second time changes nothing.

        Args:
            spec: what there should be.
            secrets: values of the spec's secrets, by name of the parameter; those of the environment where not given.
            overwrite: undo what people changed on the canvas; otherwise it is kept.
            renew_secrets: set the secrets even where they have a value, which NiFi does not tell.
            dry_run: only say what would be done.

        Raises:
            RequestError: the new version is not valid (it is as before then), or FlowFiles are queued in its way.
            SetupError: the spec does not fit the template, or a secret has no value.
        """
        source = template(spec.template, spec.folder)
        known = _from_environment(spec) if secrets is None else dict(secrets)
        values = Values(spec.parameters, spec.processors, spec.services)
        if not any(spec.name in (each.name, each.group) for each in deployments(self._nifi)):
            return self._applied_first(spec, source, values, known, dry_run=dry_run)
        target = Target(source, values, overwrite)
        return self._change(
            spec.name, target, known, running=spec.running, renew=renew_secrets, dry_run=dry_run, needed=spec.secrets
        )

    def upgrade(
        self, name: str, to: str | Path | None = None, *, overwrite: bool = False, dry_run: bool = False
    ) -> Outcome:
        """Bring a deployment to the new version of its template, or to another one; its values stay.

        Args:
            name: of the deployment.
            to: a template or a file; its own template where not given.
            overwrite: undo what people changed on the canvas; otherwise it is kept.
            dry_run: only say what would be done.

        Raises:
            RequestError: as for ``apply``.
            SetupError: there is no such template any more.
        """
        found = self._find(name)
        target = Target(template(to) if to else _own_template(found), found.record.values, overwrite)
        return self._change(found.group, target, {}, running=None, renew=False, dry_run=dry_run)

    def delete(self, name: str, *, drop_queued: bool = False) -> int:
        """Remove it with its controller services and parameters.

        Args:
            name: of the deployment.
            drop_queued: also when it runs or FlowFiles are queued; they are lost.

        Returns:
            How many FlowFiles were thrown away.

        Raises:
            RequestError: it runs, or FlowFiles are queued.
        """
        return delete(self._nifi, self._find(name), drop_queued=drop_queued)

    def address_of(self, name: str) -> str:
        """The address of its canvas, for a browser."""
        return self._nifi.canvas_of(self._find(name).group)

    def _find(self, name: str) -> Deployment:
        return find(self._nifi, name)

    def _export(self, found: Deployment) -> Definition:
        return clean(self._nifi.get(f"/process-groups/{found.group}/download"), found.record.flow)

    def _applied_first(
        self, spec: Spec, source: Template, values: Values, secrets: Mapping[str, str], *, dry_run: bool
    ) -> Outcome:
        if dry_run:
            return Outcome(spec.name, "", "", created=True, started=bool(spec.running), secrets=tuple(sorted(secrets)))
        _check_given(spec.secrets, secrets, spec.secrets)
        group = create(self._nifi, spec.name, source, values, secrets, self._parent)
        if spec.running:
            states.start(self._nifi, group)
        address = self._nifi.canvas_of(group)
        return Outcome(
            spec.name, group, address, created=True, started=bool(spec.running), secrets=tuple(sorted(secrets))
        )

    def _change(
        self,
        name: str,
        target: Target,
        secrets: dict[str, str],
        *,
        running: bool | None,
        renew: bool,
        dry_run: bool,
        needed: Mapping[str, str] | None = None,
    ) -> Outcome:
        found = self._find(name)
        thought = plan(self._nifi, found, target)
        check_secrets(thought.merged, secrets)
        needed = needed or {}
        unset = found.context.unset_secrets() | (needed.keys() - found.context.parameters.keys())
        _check_given(needed, secrets, unset)
        given = secrets if renew else {key: value for key, value in secrets.items() if key in unset}
        before = states.running(self._nifi, found.group)
        same_record = (target.template.digest, target.values) == (found.record.digest, found.record.values)
        started, stopped = bool(running and not before), bool(running is False and before)
        if not dry_run and (thought.changes or given or started or stopped or not same_record or target.overwrite):
            found, thought = change(self._nifi, found.group, target, secrets=given, running=running)
        return Outcome(
            found.name,
            found.group,
            self._nifi.canvas_of(found.group),
            changes=thought.changes,
            conflicts=thought.conflicts,
            started=started,
            stopped=stopped,
            secrets=tuple(sorted(given)),
        )


def _own_template(found: Deployment) -> Template:
    """The template it was made from, as it is now."""
    name = found.record.template
    if name not in {each.name for each in templates()}:
        made = f"from '{name}', which is none of Penstock's templates" if name else "without a template"
        raise SetupError(f"'{found.name}' was made {made}: say what it is to become (--to)")
    return template(name)


def _from_environment(spec: Spec) -> dict[str, str]:
    return {name: os.environ[variable] for name, variable in spec.secrets.items() if variable in os.environ}


def _check_given(variables: Mapping[str, str], given: Mapping[str, str], unset: Iterable[str]) -> None:
    for name in sorted(set(unset) & variables.keys() - given.keys()):
        raise SetupError(f"the secret '{name}' has no value yet: set the environment variable {variables[name]}")


def _empty(name: str) -> Definition:
    contents: dict[str, Any] = {
        "identifier": ROOT,
        "name": name,
        "componentType": "PROCESS_GROUP",
        "parameterContextName": name,
    }
    return clean({"flowContents": contents, "parameterContexts": {name: empty_context(name)}})
