"""*Image recognition*: an image from the canvas, or a folder of them over SFTP, to the model's best guesses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .definition import Group, Parameter, definition
from .digit import DIGIT
from .parts import ROW, collect, invoke, judge, loop, note, service_parameters, set_aside, title

if TYPE_CHECKING:
    from .definition import Node

_PARAMETERS = [
    *service_parameters("digits"),
    Parameter("image-base64", DIGIT, "The image that GenerateFlowFile sends: a PNG or JPEG file as base64 text."),
    Parameter("sftp-host", "127.0.0.1", "The SFTP server that the images are fetched from."),
    Parameter("sftp-port", "22", "Its port."),
    Parameter("sftp-user", "images", "The user to log in as."),
    Parameter("sftp-password", None, "The password of that user.", secret=True),
    Parameter("sftp-folder", ".", "The folder on the server that the images are in; files below it count too."),
]


def flow() -> dict[str, Any]:
    """The flow definition."""
    group = Group("Image recognition", "image-recognition")
    generate = group.processor(
        "GenerateFlowFile",
        (0, 0),
        {"generate-ff-custom-text": "#{image-base64}", "mime-type": "text/plain"},
        schedulingPeriod="1 min",
        comments="Sends the image of the parameter image-base64, once a minute while it runs.",
    )
    decode = group.processor("EncodeContent", (0, ROW), {"Mode": "Decode", "Encoding": "base64"}, name="Decode base64")
    images = _fetch(group)
    box, encapsulated, payloads, refused = _encapsulate(group)
    model = invoke(group, (0, 3 * ROW), {"Input format": "ndarray"})

    group.connect(generate, decode, "success")
    group.connect(decode, encapsulated, "success", name="image")
    group.connect(images, encapsulated, name="image")
    group.connect(payloads, model, name="payload")
    set_aside(group, decode, "failure", name="no base64")
    set_aside(group, refused, name="no payload", inside=box)
    set_aside(group, judge(group, model), "unmatched", name="failures")
    loop(group, model)
    collect(group, model, "success", name="predictions", expiration="1 hour")
    _notes(group)
    return definition(group, _PARAMETERS, "Where the image recognition flow finds its images and its model.")


def _fetch(parent: Group) -> Node:
    group = parent.group(
        "Fetch images via SFTP", (-860, 2 * ROW - 23), "Fetches every image of a folder on an SFTP server, once each."
    )
    server = {
        "Hostname": "#{sftp-host}",
        "Port": "#{sftp-port}",
        "Username": "#{sftp-user}",
        "Password": "#{sftp-password}",
    }
    listed = group.processor(
        "ListSFTP",
        (0, 0),
        {
            **server,
            "Remote Path": "#{sftp-folder}",
            "Search Recursively": "true",
            "File Filter Regex": r"(?i).*\.(png|jpe?g)",
            "listing-strategy": "timestamps",
        },
        schedulingPeriod="10 sec",
        comments="Remembers what it has listed, so a file comes once.",
    )
    fetched = group.processor(
        "FetchSFTP",
        (0, ROW),
        {**server, "Remote File": "${path}/${filename}"},
        again=("comms.failure",),
    )
    port = group.port("OUTPUT", "images", (55, 2 * ROW + 30))
    group.connect(listed, fetched, "success", name="listed")
    group.connect(fetched, port, "success", name="image")
    set_aside(group, fetched, "comms.failure", "not.found", "permission.denied", name="not fetched")
    note(
        group,
        "sftp",
        "The server, the user, the password and the folder are parameters of the flow.\n\n"
        "Files stay on the server. When the server cannot be reached, a file is asked for again, ten times, with "
        "longer and longer pauses; what cannot be fetched then waits in the queue on the right.",
        (-480, 0),
        (400, 170),
    )
    return port


def _encapsulate(parent: Group) -> tuple[Group, Node, Node, Node]:
    group = parent.group(
        "Seldon ndarray encapsulation", (-15, 2 * ROW - 23), 'Puts a file into a Seldon payload: [["<base64>"]].'
    )
    into = group.port("INPUT", "image", (55, 0))
    encapsulate = group.processor(
        "EncapsulatePayload", (0, 190), {"Output format": "ndarray", "Content": "bytes as base64"}, ended=("original",)
    )
    out = group.port("OUTPUT", "payload", (55, 190 + ROW))
    judged = judge(group, encapsulate, error="encapsulatepayload.error.code")
    refused = group.port("OUTPUT", "no payload", (1360, 190 + 40))
    group.connect(into, encapsulate)
    group.connect(encapsulate, out, "success")
    group.connect(judged, refused, "unmatched", name="no payload")
    return group, into, out, refused


def _notes(group: Group) -> None:
    title(
        group,
        "Image recognition\n\nAn image, from GenerateFlowFile or from a folder on an SFTP server, is put into a Seldon "
        "payload and given to the model. Its answer is the content of the FlowFile.",
        (-860, 0),
        (460, 150),
    )
    note(
        group,
        "start",
        "1. Set the parameters model-name and service-address.\n"
        "2. Start Seldon ndarray encapsulation and InvokeModel.\n"
        "3. Start GenerateFlowFile and Decode base64 for one image, or set the sftp-… parameters and start Fetch "
        "images via SFTP for many.",
        (-860, 190),
        (460, 140),
    )
    note(
        group,
        "answers",
        "The predictions: right-click InvokeModel, View data provenance; or list the queue predictions. They stay "
        "there for an hour. Connect them to where you want them.",
        (-860, 3 * ROW + 10),
        (460, 110),
    )
    note(
        group,
        "failures",
        "What fails waits on the right. The attributes invokemodel.error.code and invokemodel.error.message tell why.",
        (660, 3 * ROW + 160),
        (460, 80),
    )
