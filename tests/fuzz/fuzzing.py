"""What is fuzzed, and what is kept of it.

A target is a module under ``targets`` with a function ``run(data)`` that takes any bytes and raises where something
is wrong. Its kept inputs are under ``corpus``, in a folder of its name: some by hand, to which what once failed is
added, and in ``found.txt`` what `run` has found, an input a line in base64.
"""

from __future__ import annotations

import random
from base64 import b64decode, b64encode
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
FOUND = "found.txt"
TARGETS = sorted(path.stem for path in (HERE / "targets").glob("*.py"))


def target(name: str) -> Callable[[bytes], None]:
    """The function of a target."""
    spec = util.spec_from_file_location(f"penstock_fuzz_{name}", HERE / "targets" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    run: Callable[[bytes], None] = module.run
    return run


def by_hand(name: str) -> list[bytes]:
    """The kept inputs of a target that somebody thought of."""
    return [path.read_bytes() for path in sorted((HERE / "corpus" / name).iterdir()) if path.name != FOUND]


def corpus(name: str) -> list[bytes]:
    """All kept inputs of a target."""
    found = HERE / "corpus" / name / FOUND
    return by_hand(name) + ([b64decode(line) for line in found.read_text().split()] if found.exists() else [])


def keep(name: str, inputs: list[bytes]) -> None:
    """Make ``inputs`` what was found for a target."""
    new = {b64encode(data).decode() for data in {*inputs} - {*by_hand(name)}}
    lines = sorted(new, key=lambda line: (len(line), line))
    (HERE / "corpus" / name / FOUND).write_text("\n".join(lines) + "\n")


def mutated(seeds: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """``count`` inputs, each made of kept ones by a few small changes; the same for the same ``seed``."""
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 6)):
            at = chance.randint(0, len(data))
            what = chance.randint(0, 4)
            if what == 0 and data:
                data[min(at, len(data) - 1)] = chance.randint(0, 255)
            elif what == 1:
                del data[at : at + chance.randint(1, 8)]
            elif what == 2:
                data[at:at] = chance.randbytes(chance.randint(1, 8))
            elif what == 3 and data:
                data[min(at, len(data) - 1)] ^= 1 << chance.randint(0, 7)
            else:
                other = chance.choice(seeds)
                start = chance.randint(0, len(other))
                data[at:at] = other[start : start + chance.randint(1, 64)]
        yield bytes(data)
