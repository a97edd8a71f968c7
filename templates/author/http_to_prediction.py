"""*HTTP to prediction*: an HTTP door of NiFi's own, answered by the model; an error has its status and a JSON body."""

from __future__ import annotations

from typing import Any

from .definition import Group, Parameter, definition
from .parts import ROW, invoke, note, service_parameters, set_aside, title

_PARAMETERS = [
    *service_parameters("iris"),
    Parameter(
        "listen-host", "127.0.0.1", "The address of this machine to listen on; 127.0.0.1 is reached from here only."
    ),
    Parameter("listen-port", "18090", "The port to listen on."),
    Parameter("path", "/predict", "The path that is answered, a regular expression; any other is 404."),
    Parameter("input-format", "ndarray", "What a body holds: ndarray, tensor, tftensor, jsonData, strData or binData."),
]
_ASIDE = 760.0
_CODE = "${invokemodel.error.code:equals('%s'):ifElse('%s',%s)}"
_STATUSES = {
    "OVERLOADED": 429,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "TOO_LARGE": 413,
    "MESSAGE_TOO_LARGE": 413,
    "MODEL_FAILED": 502,
    "SERVICE_ERROR": 502,
    "BAD_REPLY": 502,
    "UNAUTHENTICATED": 502,
}
_BODY = (
    '{"status":${http.status},"code":"${invokemodel.error.code:replaceEmpty(\'UNAVAILABLE\'):escapeJson()}",'
    '"message":"${invokemodel.error.message:replaceEmpty(\'InvokeModel is starting, try again\'):escapeJson()}"}'
)


def _status() -> str:
    """The status of an error code: a test for each that is the service's matter, else 400, the caller's."""
    expression = "'400'"
    for code, status in reversed(_STATUSES.items()):
        expression = _CODE % (code, status, expression)
    # Without a code it comes from NiFi itself, which starts a Python worker again that has died.
    return f"${{invokemodel.error.code:isEmpty():ifElse('503',{expression})}}"


def flow() -> dict[str, Any]:
    """The flow definition."""
    group = Group("HTTP to prediction", "http-to-prediction")
    held = group.service(
        "StandardHttpContextMap",
        {"Maximum Outstanding Requests": "500", "Request Expiration": "1 min"},
        name="Callers waiting",
        comments="Holds the open requests until they are answered; after a minute they are answered with 503.",
    )
    request = group.processor(
        "HandleHttpRequest",
        (0, 0),
        {
            "Hostname": "#{listen-host}",
            "Listening Port": "#{listen-port}",
            "HTTP Context Map": held,
            "Allowed Paths": "#{path}",
            "Allow GET": "false",
            "Allow PUT": "false",
            "Allow DELETE": "false",
        },
    )
    model = invoke(group, (0, ROW), {"Input format": "#{input-format}"})
    answer = group.processor(
        "HandleHttpResponse",
        (0, 2 * ROW),
        {
            "HTTP Context Map": held,
            "HTTP Status Code": "200",
            "Content-Type": "${mime.type}",
            "Puid": "${invokemodel.puid}",
        },
        name="Answer",
        ended=("success",),
    )
    status = group.processor(
        "UpdateAttribute",
        (_ASIDE, ROW),
        {"http.status": _status()},
        name="Choose the status",
    )
    body = group.processor(
        "ReplaceText",
        (_ASIDE, 2 * ROW),
        {"Replacement Strategy": "Always Replace", "Evaluation Mode": "Entire text", "Replacement Value": _BODY},
        name="Write the error as JSON",
    )
    refuse = group.processor(
        "HandleHttpResponse",
        (_ASIDE, 3 * ROW),
        {"HTTP Context Map": held, "HTTP Status Code": "${http.status}", "Content-Type": "application/json"},
        name="Answer with the error",
        ended=("success",),
    )
    group.connect(request, model, "success", name="request", flowFileExpiration="1 min")
    group.connect(model, answer, "success", name="prediction")
    group.connect(model, status, "failure", "retry", name="no prediction")
    group.connect(status, body, "success")
    group.connect(body, refuse, "success", name="error")
    unsent = group.funnel("unsent", (151, 3 * ROW + 41))
    group.connect(answer, unsent, "failure", name="caller gone", flowFileExpiration="1 hour")
    group.connect(refuse, unsent, "failure", name="caller gone", flowFileExpiration="1 hour")
    set_aside(group, body, "failure", name="no body")
    title(
        group,
        "HTTP to prediction\n\nWhat is posted to NiFi is given to the model, and its answer is the answer. The caller "
        "waits meanwhile, a minute at most.",
        (-560, 0),
        (440, 130),
    )
    note(
        group,
        "start",
        "Set the parameters: where to listen, what a body holds, the model. Enable the service Callers waiting "
        "(right-click the canvas, Controller Services), then start everything.\n\n"
        "curl -d '[[5.1,3.5,1.4,0.2]]' 127.0.0.1:18090/predict",
        (-560, 160),
        (440, 150),
    )
    note(
        group,
        "errors",
        "What cannot be read or the model refuses is answered with 400 or 413, a service that is busy, away or too "
        "slow with 429, 503 or 504, one that broke with 502. The body is JSON: status, code, message.",
        (_ASIDE, ROW - 140),
        (350, 110),
    )
    return definition(group, _PARAMETERS, "Where the HTTP door listens, and the model behind it.")
