"""*Records to predictions*: CSV and JSON files of records come back with the model's answer as one more field."""

from __future__ import annotations

from typing import Any

from .definition import Group, Parameter, definition
from .parts import ROW, invoke, loop, note, service_parameters, set_aside, title

_PARAMETERS = [
    *service_parameters("iris"),
    Parameter("input-folder", "/tmp/penstock/records", "The folder to watch, on the machine that NiFi runs on."),  # noqa: S108
    Parameter(
        "feature-fields",
        "sepal_length,sepal_width,petal_length,petal_width",
        "The fields of a record that the model asks for, in its order.",
    ),
    Parameter("prediction-field", "prediction", "The field that the answer is put into."),
    Parameter("output-folder", "/tmp/penstock/predicted", "Where the files go; it is created when it is not there."),  # noqa: S108
]
_ASIDE = 620.0
# Records that had to be asked again come later, as a file of their own that must not replace the first.
_LATER = (
    "${filename:substringBeforeLast('.'):append('.'):append(${uuid}):append('.')"
    ":append(${filename:substringAfterLast('.')})}"
)
_NAME = f"${{invokemodel.error.code:isEmpty():ifElse(${{filename}},{_LATER})}}"


def flow() -> dict[str, Any]:
    """The flow definition."""
    group = Group("Records to predictions", "records-to-predictions")
    listed = group.processor(
        "ListFile",
        (0, 0),
        {"Input Directory": "#{input-folder}", "File Filter": r".*\.(csv|json)", "Minimum File Age": "1 sec"},
        schedulingPeriod="2 sec",
        comments="Remembers what it has listed, so a file comes once. A file younger than a second is still written.",
    )
    fetched = group.processor("FetchFile", (0, ROW), {})
    route = group.processor(
        "RouteOnAttribute",
        (0, 2 * ROW),
        {"csv": "${filename:endsWith('.csv')}", "json": "${filename:endsWith('.json')}"},
        name="CSV or JSON",
        ended=("unmatched",),
    )
    named = group.processor("UpdateAttribute", (0, 4 * ROW), {"filename": _NAME}, name="Name the answer")
    put = group.processor(
        "PutFile",
        (0, 5 * ROW),
        {"Directory": "#{output-folder}", "Conflict Resolution Strategy": "replace"},
        ended=("success",),
        again=("failure",),
    )
    group.connect(listed, fetched, "success", name="listed")
    group.connect(fetched, route, "success", name="file")
    both = group.funnel("both", (151, 3 * ROW + 41))
    for kind, x in (("CSV", -_ASIDE), ("JSON", _ASIDE)):
        model = _invoke(group, kind, x)
        group.connect(route, model, kind.lower(), bends=((x + 175, 2 * ROW + 65),))
        group.connect(model, both, "success", name="predicted")
        loop(group, model, side="left" if x < 0 else "right")
        waiting = group.funnel(f"failures of {kind}", (x + 151, 4 * ROW + 41))
        group.connect(model, waiting, "failure", name="failures")
    group.connect(both, named, name="predicted")
    group.connect(named, put, "success")
    set_aside(group, fetched, "failure", "not.found", "permission.denied", name="not read")
    set_aside(group, put, "failure", name="not written")
    title(
        group,
        "Records to predictions\n\nEach record of a CSV or JSON file is given to the model. The file is written into "
        "another folder with the answers as one more field.",
        (-620, 0),
        (440, 130),
    )
    note(
        group,
        "start",
        "Set the parameters: the folders, the fields, the model. Enable the four readers and writers (right-click the "
        "canvas, Controller Services), then start everything.\n\nAll records of a file are asked in few calls.",
        (-620, 160),
        (440, 130),
    )
    note(
        group,
        "failures",
        "What fails waits below. The attributes invokemodel.error.code and invokemodel.error.message tell why.",
        (430, 160),
        (400, 80),
    )
    return definition(group, _PARAMETERS, "Which records get predictions, by which model, and where they go.")


def _invoke(group: Group, kind: str, x: float) -> Any:
    reader = group.service(
        "CSVReader" if kind == "CSV" else "JsonTreeReader",
        {"schema-access-strategy": "infer-schema"} | ({"Skip Header Line": "true"} if kind == "CSV" else {}),
        name=f"{kind} reader",
    )
    writer = group.service(
        "CSVRecordSetWriter" if kind == "CSV" else "JsonRecordSetWriter",
        {"Schema Write Strategy": "no-schema", "schema-access-strategy": "inherit-record-schema"},
        name=f"{kind} writer",
    )
    return invoke(
        group,
        (x, 3 * ROW),
        {
            "Record Reader": reader,
            "Record Writer": writer,
            "Feature fields": "#{feature-fields}",
            "Prediction field": "#{prediction-field}",
        },
        type_="InvokeModelRecord",
        name=f"Predict {kind} records",
    )
