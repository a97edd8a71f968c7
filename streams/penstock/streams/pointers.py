"""A place inside a JSON record, as JSON Pointer (RFC 6901): ``/data/0/x``. A plain name is a key at the top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.proto import PayloadError, SetupError


@dataclass(frozen=True, slots=True)
class Pointer:
    """The way from the top of a record to one value, key by key."""

    keys: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Pointer:
        """Read ``/data/x`` or ``x``.

        Raises:
            SetupError: the text is empty.
        """
        if not text.strip("/"):
            raise SetupError(f"{text!r} points at nothing; write the key, such as x or /data/x", code="BAD_SPEC")
        if not text.startswith("/"):
            return cls((text,))
        return cls(tuple(key.replace("~1", "/").replace("~0", "~") for key in text[1:].split("/")))

    def get(self, record: Any) -> Any:
        """The value there.

        Raises:
            PayloadError: ``MISSING_FIELD``, it is not there.
        """
        value = record
        for key in self.keys:
            if type(value) is dict and key in value:
                value = value[key]
            elif type(value) is list and key.isascii() and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            else:
                raise PayloadError(f"the record has no {self}", code="MISSING_FIELD")
        return value

    def put(self, record: Any, value: Any) -> None:
        """Put ``value`` there; objects that are missing on the way are made.

        Raises:
            PayloadError: ``NO_PLACE``, what is on the way is no object.
        """
        place = record
        for key in self.keys[:-1]:
            place = place.setdefault(key, {}) if type(place) is dict else None
        if type(place) is not dict:
            raise PayloadError(f"the record has no object to put {self} into", code="NO_PLACE")
        place[self.keys[-1]] = value

    def __str__(self) -> str:
        return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in self.keys)
