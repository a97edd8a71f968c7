"""Each error of the tree has its fate."""

from __future__ import annotations

import pytest

from penstock.proto import errors
from penstock.streams.fates import Fate, fate

FATES = {
    "PayloadError": Fate.BLAME,
    "ConversionError": Fate.BLAME,
    "LimitError": Fate.BLAME,
    "RequestError": Fate.BLAME,
    "ModelError": Fate.DOUBT,
    "ModelInputError": Fate.BLAME,
    "ModelFailure": Fate.BLAME,
    "ModelLoadError": Fate.WAIT,
    "ServiceError": Fate.DOUBT,
    "Unavailable": Fate.WAIT,
    "Overloaded": Fate.WAIT,
    "DeadlineExceeded": Fate.DOUBT,
    "Unauthenticated": Fate.STOP,
    "SetupError": Fate.STOP,
    "PenstockError": Fate.DOUBT,
}


def _tree(root: type[errors.PenstockError]) -> list[type[errors.PenstockError]]:
    return [root, *(each for child in root.__subclasses__() for each in _tree(child))]


@pytest.mark.parametrize("kind", [each for each in _tree(errors.PenstockError) if each.__module__ == errors.__name__])
def test_every_error_has_its_fate(kind: type[errors.PenstockError]) -> None:
    assert fate(kind("text")) is FATES[kind.__name__]


@pytest.mark.parametrize("status", [403, 404, 409])
def test_a_request_that_goes_to_the_wrong_place_stops_the_stream(status: int) -> None:
    assert fate(errors.RequestError("text", http_status=status)) is Fate.STOP
