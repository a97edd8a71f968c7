"""The image model, and a service of it, for all tests of the templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.cli.demo.pictures import Picture


class ImageModel(NamedTuple):
    folder: Path
    pictures: list[Picture]


@pytest.fixture(scope="session")
def image_model(tmp_path_factory: pytest.TempPathFactory) -> ImageModel:
    """The demo's image model in a folder, and pictures that it has not seen."""
    from penstock.cli.demo.pictures import lay_out_model

    folder = tmp_path_factory.mktemp("image-model") / "digits"
    return ImageModel(folder, lay_out_model(folder, 40))
