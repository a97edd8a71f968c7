"""Column names in properties and attributes."""

from __future__ import annotations

from penstock.proto import PayloadError
from penstock.proto.jsontext import dumps, loads


def read_names(text: str | None) -> tuple[str, ...]:
    """The names in a comma-separated list, or in a JSON list where a name has a comma in it.

    Raises:
        PayloadError: ``BAD_NAMES``, the text starts like a JSON list but is none of names.
    """
    text = (text or "").strip()
    if not text:
        return ()
    if not text.startswith("["):
        return tuple(name.strip() for name in text.split(","))
    names = loads(text.encode())
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise PayloadError("feature names are a comma-separated list, or a JSON list of text", code="BAD_NAMES")
    return tuple(names)


def write_names(names: tuple[str, ...]) -> str:
    """The text from which `read_names` reads the same names."""
    text = ",".join(names)
    plain = not text.startswith("[") and all(name and name == name.strip() and "," not in name for name in names)
    return text if plain else dumps(list(names)).decode()
