"""Write the templates anew: ``python -m templates.author [--address NIFI] [NAME …]``.

Each flow is given to a real NiFi, exported from it, and what NiFi exports, cleaned, is the template: so it has every
property with its default as NiFi writes it, and comes back from NiFi unchanged.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.deploy.canvas import connect
from penstock.deploy.flows import clean, to_text

from . import files_to_predictions, http_to_prediction, image_recognition, kafka_to_kafka, records_to_predictions
from .canvas import exported

if TYPE_CHECKING:
    from collections.abc import Callable

FLOWS: dict[str, Callable[[], dict[str, Any]]] = {
    "image-recognition": image_recognition.flow,
    "files-to-predictions": files_to_predictions.flow,
    "kafka-to-kafka": kafka_to_kafka.companions,
    "kafka-to-kafka-nifi": kafka_to_kafka.of_nifi,
    "http-to-prediction": http_to_prediction.flow,
    "records-to-predictions": records_to_predictions.flow,
}
# No NiFi here has its components, and NiFi does not tell the properties of one that it lacks: it may be a secret.
_NOT_EXPORTED = ("kafka-to-kafka-nifi",)
_TEMPLATES = Path(__file__).parents[1]


def main() -> None:
    """Write the named templates, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", help="a NiFi with Penstock's processors; the local one unless given")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FLOWS))
    given = parser.parse_args()
    connection = connect(given.address)
    for name in given.names or FLOWS:
        folder = _TEMPLATES / name
        folder.mkdir(exist_ok=True)
        flow = FLOWS[name]()
        text = to_text(clean(flow)) if name in _NOT_EXPORTED else exported(connection, flow)
        (folder / "flow.json").write_text(text)
        print(f"{name}: {len(text):,} characters")


if __name__ == "__main__":
    main()
