"""*Files to predictions*: each file of a folder goes to the model, its answer into another folder."""

from __future__ import annotations

from typing import Any

from .definition import Group, Parameter, definition
from .parts import ROW, invoke, judge, loop, note, service_parameters, set_aside, title

_PARAMETERS = [
    *service_parameters("iris"),
    Parameter("input-folder", "/tmp/penstock/in", "The folder to watch, on the machine that NiFi runs on."),  # noqa: S108
    Parameter("file-filter", r".*\.json", "Which files: a regular expression for the whole name."),
    Parameter("input-format", "ndarray", "What a file holds: ndarray, tensor, tftensor, jsonData, strData or binData."),
    Parameter("output-folder", "/tmp/penstock/out", "Where the answers go; it is created when it is not there."),  # noqa: S108
]


def flow() -> dict[str, Any]:
    """The flow definition."""
    group = Group("Files to predictions", "files-to-predictions")
    listed = group.processor(
        "ListFile",
        (0, 0),
        {"Input Directory": "#{input-folder}", "File Filter": "#{file-filter}", "Minimum File Age": "1 sec"},
        schedulingPeriod="2 sec",
        comments="Remembers what it has listed, so a file comes once. A file younger than a second is still written.",
    )
    fetched = group.processor("FetchFile", (0, ROW), {})
    model = invoke(group, (0, 2 * ROW), {"Input format": "#{input-format}"})
    named = group.processor(
        "UpdateAttribute",
        (0, 3 * ROW),
        {"filename": "${filename:substringBeforeLast('.')}.prediction.json"},
        name="Name the answer",
    )
    put = group.processor(
        "PutFile",
        (0, 4 * ROW),
        {"Directory": "#{output-folder}", "Conflict Resolution Strategy": "replace"},
        ended=("success",),
        again=("failure",),
    )
    group.connect(listed, fetched, "success", name="listed")
    group.connect(fetched, model, "success", name="file")
    group.connect(model, named, "success", name="prediction")
    group.connect(named, put, "success")
    set_aside(group, fetched, "failure", "not.found", "permission.denied", name="not read")
    set_aside(group, judge(group, model), "unmatched", name="failures")
    set_aside(group, put, "failure", name="not written")
    loop(group, model)
    title(
        group,
        "Files to predictions\n\nEvery file that appears in a folder is given to the model. The answer is written into "
        "another folder: flower.json becomes flower.prediction.json.",
        (-860, 0),
        (460, 150),
    )
    note(
        group,
        "start",
        "Set the parameters: the folders, what the files hold, the model. Then start everything.\n\n"
        "The files stay where they are.",
        (-860, 190),
        (460, 110),
    )
    note(
        group,
        "retry",
        "A service that is away, busy or too slow is asked again, until it answers. No file is lost.",
        (-860, 2 * ROW + 20),
        (460, 70),
    )
    note(
        group,
        "failures",
        "What fails waits on the right. The attributes invokemodel.error.code and invokemodel.error.message tell why.",
        (660, 2 * ROW + 160),
        (460, 80),
    )
    return definition(group, _PARAMETERS, "Which files become predictions, by which model, and where they go.")
