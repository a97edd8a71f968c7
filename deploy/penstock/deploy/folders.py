"""Where Penstock keeps files on a user's machine, and where its own are."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

RESOURCES = files("penstock.deploy") / "resources"


def cache_folder() -> Path:
    """What can be fetched again: ``$PENSTOCK_CACHE``, else ``penstock`` under the user's cache folder."""
    override = os.environ.get("PENSTOCK_CACHE")
    return Path(override).expanduser().absolute() if override else user_cache_path("penstock", appauthor=False)


def data_folder(*names: str) -> Path:
    """What is the user's own, such as the topics of a broker: a folder under the user's data folder."""
    return user_data_path("penstock", appauthor=False).joinpath(*names)
