"""What NiFi's provenance tells of the predictions of a flow: the same that *View data provenance* shows."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.proto import ServiceError

if TYPE_CHECKING:
    from penstock.deploy.canvas import Connection

_PATIENCE = 30.0
_MODIFIED = "CONTENT_MODIFIED"


@dataclass(frozen=True, slots=True)
class Predicted:
    """One prediction.

    Attributes:
        file: name of the FlowFile.
        answer: rows of id, label, probability, the best first.
        puid: of the prediction, which the service knows it by, too.
        milliseconds: the call took.
    """

    file: str
    answer: list[list[str]]
    puid: str
    milliseconds: float


class Provenance:
    """The predictions of one processor, asked for again and again; each event is read once."""

    def __init__(self, nifi: Connection, processor: str) -> None:
        self._nifi = nifi
        self._processor = processor
        self._seen: dict[str, Predicted] = {}

    def predictions(self, most: int) -> list[Predicted]:
        """All so far, in the order in which they were made; at most so many events are looked at."""
        for event in sorted(self._events(most), key=lambda each: int(each["eventId"])):
            number = str(event["eventId"])
            if event["eventType"] == _MODIFIED and number not in self._seen:
                self._seen[number] = self._read(number)
        return list(self._seen.values())

    def _events(self, most: int) -> list[dict[str, Any]]:
        wanted = {"ProcessorID": {"value": self._processor}}
        request = {"maxResults": most, "summarize": True, "incrementalResults": False, "searchTerms": wanted}
        query = self._nifi.post("/provenance", {"provenance": {"request": request}})["provenance"]
        path, end = f"/provenance/{query['id']}", time.monotonic() + _PATIENCE
        try:
            while not query["finished"]:
                if time.monotonic() > end:
                    raise ServiceError(f"NiFi's provenance gave no answer within {_PATIENCE:.0f} seconds")
                time.sleep(0.1)
                query = self._nifi.get(path, summarize="true")["provenance"]
        finally:
            self._nifi.delete(path)
        return list(query["results"]["provenanceEvents"])

    def _read(self, number: str) -> Predicted:
        event = self._nifi.get(f"/provenance-events/{number}")["provenanceEvent"]
        attributes = {each["name"]: each["value"] for each in event["attributes"]}
        answer = self._nifi.get(f"/provenance-events/{number}/content/output")
        return Predicted(
            attributes["filename"],
            json.loads(answer) if isinstance(answer, str) else answer,
            attributes["invokemodel.puid"],
            float(attributes["invokemodel.latency.ms"]),
        )
