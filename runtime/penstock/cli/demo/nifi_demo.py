"""The demo with NiFi: the image recognition flow on a real canvas, and what its provenance tells."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from penstock.proto import SetupError

from .nifi_stack import FLOW, NiFiStack
from .provenance import Provenance
from .show import picture
from .steps import step

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from .pictures import Picture
    from .provenance import Predicted
    from .running import Ports

_IMAGES = 60
_MOST = 599  # so many scans are kept back from the training
_SHOWN = 8
# From the start of the flow to the last prediction: seconds on an idle machine.
_PATIENCE = 180.0


class NiFiDemo:
    """Brings it up, shows it, and tells where it is."""

    def __init__(self, console: Console) -> None:
        self.stack = NiFiStack(console)
        self._console = console

    def run(self, ports: Ports, images: int | None) -> None:
        """Bring everything up, let the flow predict, and show what NiFi knows of it."""
        pictures = self._bring_up(ports, min(images or _IMAGES, _MOST))
        with step(self._console, "predictions") as said:
            predictions = self._wait(len(pictures))
            said.append(f"{len(predictions)} images went through the flow")
        _show(predictions, pictures, self._console)
        self._console.print(f"\ncanvas  {self.stack.canvas}", soft_wrap=True)

    def print_addresses(self) -> None:
        """Tell where everything is that was left running."""
        stack = self.stack
        self._console.print(
            f"\nleft running:\n"
            f"  canvas   {stack.canvas}   [dim]right-click InvokeModel: View data provenance[/]\n"
            f"  gRPC     {stack.grpc}\n"
            f"  REST     {stack.http}/api/v1.0/doc/\n"
            f"  images   {stack.images}   [dim]put one there: it is predicted[/]\n"
            f"stop it with `penstock demo --stop`",
            soft_wrap=True,
        )

    def _bring_up(self, ports: Ports, images: int) -> list[Picture]:
        stack, console = self.stack, self._console
        with step(console, "NiFi") as said:
            said.append(f"{stack.start_nifi(ports.server)} at {stack.server.address}/nifi")
        with step(console, "model") as said:
            pictures = stack.make_pictures(images)
            said.append(f"trained on 1,198 scanned digits; {len(pictures)} that it has not seen are PNG files")
        with step(console, "service") as said:
            stack.start_service(ports)
            said.append(f"gRPC {stack.grpc}, REST {stack.http}")
        with step(console, "SFTP server") as said:
            said.append(f"with the images at {stack.start_sftp()}")
        with step(console, "flow") as said:
            stack.start_flow(pictures[0])
            said.append(f"the template image-recognition is on the canvas as '{FLOW}' and runs")
        return pictures

    def _wait(self, count: int) -> list[Predicted]:
        nifi = self.stack.connection
        group = self.stack.canvas.rpartition("/")[2]
        processors = nifi.get(f"/process-groups/{group}/processors")["processors"]
        (model,) = (each["id"] for each in processors if each["component"]["name"] == "InvokeModel")
        provenance, end = Provenance(nifi, model), time.monotonic() + _PATIENCE
        while len(predictions := provenance.predictions(4 * count)) < count:
            if time.monotonic() > end:
                raise SetupError(
                    f"{len(predictions)} of {count} images were predicted within {_PATIENCE:.0f} seconds; "
                    f"look at the canvas with `penstock demo --nifi --keep`, or into {self.stack.server.log}"
                )
            time.sleep(0.5)
        return predictions


def _show(predictions: list[Predicted], pictures: list[Picture], console: Console) -> None:
    from rich import box
    from rich.table import Table

    by_name = {each.name: each for each in pictures}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_lines=True, title="From NiFi's provenance")
    columns = ("file", "shows", "the model's answer", "puid", "ms")
    for name in ("image", *columns) if console.is_terminal else columns:  # without colours there is nothing to see
        table.add_column(name, vertical="middle", no_wrap=name != "file")
    right = 0
    for number, predicted in enumerate(predictions):
        # What GenerateFlowFile makes has no name of a file; it was given the first picture.
        known = by_name.get(predicted.file, pictures[0])
        right += predicted.answer[0][0] == f"digit-{known.label}"
        if number < _SHOWN:
            cells = _cells(predicted, known)
            table.add_row(*([picture(known.scan), *cells] if console.is_terminal else cells))
    console.print()
    console.print(table)
    console.print(f"{right} of {len(predictions)} right. An answer as it is in the FlowFile:")
    console.print(json.dumps(predictions[0].answer), markup=False, soft_wrap=True)


def _cells(predicted: Predicted, known: Picture) -> list[RenderableType]:
    verdict = "green" if predicted.answer[0][0] == f"digit-{known.label}" else "red"
    rows = [f"{identifier}  {label:6} {float(share):7.2%}" for identifier, label, share in predicted.answer]
    rows[0] = f"[bold {verdict}]{rows[0]}[/]"
    file = predicted.file if predicted.file == known.name else "from GenerateFlowFile"
    return [file, str(known.label), "\n".join(rows), predicted.puid, f"{predicted.milliseconds:.1f}"]
