"""What several templates have in common: the call of the model, its parameters, where failures wait, the notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from penstock.proto import DeadlineExceeded, Overloaded, Unavailable

from .definition import Parameter
from .shapes import SIZE

if TYPE_CHECKING:
    from .definition import Group, Node, Point

ROW = 290.0  # from one processor to the one under it, with room for a connection's box between
_ASIDE = 610.0  # from the middle of a processor to the middle of a queue's end on its right
_YELLOW, _GREEN = "#fff7d7", "#e4f3e1"
_KEPT: dict[str, Any] = {"backPressureObjectThreshold": 10000, "backPressureDataSizeThreshold": "1 GB"}

SERVICE = [
    Parameter("model-name", "{model}", "The model to ask, by the name that its service gives it."),
    Parameter(
        "service-address", "127.0.0.1:5000", "Where the model's service listens: host:port for gRPC, or http://…"
    ),
]


def service_parameters(model: str) -> list[Parameter]:
    """The two parameters that every template has."""
    name, address = SERVICE
    return [Parameter(name.name, model, name.description), address]


def invoke(flow: Group, at: Point, properties: dict[str, str], *, type_: str = "InvokeModel", name: str = "") -> Node:
    """Add the call of the model; what could not be asked yet is asked again, each time after a longer pause."""
    asked = {"Service address": "#{service-address}", "Model name": "#{model-name}"}
    return flow.processor(
        type_,
        at,
        asked | properties,
        name=name,
        ended=("original",),
        concurrentlySchedulableTaskCount=4,
    )


def loop(flow: Group, node: Node, *, side: Literal["left", "right"] = "left") -> None:
    """Lead *retry* back to where it comes from, in a loop beside it."""
    x, y = node.at
    bend, middle = x - 190 if side == "left" else x + SIZE["PROCESSOR"][0] + 190, y + SIZE["PROCESSOR"][1] / 2
    bends = ((bend, middle - 50), (bend, middle), (bend, middle + 50))
    flow.connect(node, node, "retry", bends=bends, labelIndex=1)


def judge(flow: Group, node: Node, *relationships: str, error: str = "invokemodel.error.code") -> Node:
    """Tell, to the right of a processor, what it refused from what it never saw; returns where the former goes on.

    While NiFi starts a Python worker again that has died, it sends what comes to *failure* by itself: without an
    error, or with the passing one of an earlier try.
    """
    x, y = node.at
    judged = flow.processor("RouteOnAttribute", (x + 660, y), {"not judged": _not_judged(error)}, name="Refused?")
    flow.connect(node, judged, *relationships or ("failure",))
    bends = ((x + 660 + 175, y - 36), (x + 320, y - 36))
    flow.connect(judged, node, "not judged", bends=bends)
    return judged


def _not_judged(error: str) -> str:
    passing = ",".join(f"'{kind.code}'" for kind in (Unavailable, Overloaded, DeadlineExceeded))
    return f"${{{error}:isEmpty():or(${{{error}:in({passing})}})}}"


def set_aside(
    flow: Group, node: Node, *relationships: str, name: str = "failures", inside: Group | None = None
) -> Node:
    """Let what failed wait in a queue to the right, where it is seen; nothing is thrown away.

    Args:
        flow: the group of the queue.
        node: a processor, or an output port of the group ``inside``.
        relationships: of the processor.
        name: of the queue.
        inside: the group that the port belongs to.
    """
    (x, y), kind = (inside.position, "PROCESS_GROUP") if inside else (node.at, "PROCESSOR")
    width, height = SIZE[kind]
    at = x + width / 2 + _ASIDE - SIZE["FUNNEL"][0] / 2, y + (height - SIZE["FUNNEL"][1]) / 2
    funnel = flow.funnel(f"{name} of {node.name}", at)
    flow.connect(node, funnel, *relationships, name=name, **_KEPT)
    return funnel


def collect(flow: Group, node: Node, *relationships: str, name: str, expiration: str) -> Node:
    """Let results wait in a queue below, to be looked at; the oldest go by themselves."""
    x, y = node.at
    at = (x + (SIZE["PROCESSOR"][0] - SIZE["FUNNEL"][0]) / 2, y + ROW)
    funnel = flow.funnel(f"{name} of {node.name}", at)
    flow.connect(node, funnel, *relationships, name=name, flowFileExpiration=expiration, **_KEPT)
    return funnel


def title(flow: Group, text: str, at: Point, size: tuple[float, float]) -> None:
    """A heading with what the flow does."""
    flow.label("title", text, at, size, color=_YELLOW, font=16)


def note(flow: Group, name: str, text: str, at: Point, size: tuple[float, float]) -> None:
    """A remark beside a component."""
    flow.label(name, text, at, size, color=_GREEN, font=14)
