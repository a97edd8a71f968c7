"""Every target with what was kept for it, and a few thousand changes of that; ten minutes of more are `just fuzz`."""

from __future__ import annotations

import os

import pytest

from .fuzzing import TARGETS, corpus, mutated, target

COUNT = int(os.environ.get("PENSTOCK_TEST_FUZZ", "1500"))


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_kept_and_what_is_near_it(name: str) -> None:
    run, seeds = target(name), corpus(name)
    assert seeds, f"{name} has no corpus"
    for data in seeds:
        run(data)
    for data in mutated(seeds, COUNT, seed=6):
        try:
            run(data)
        except Exception as error:
            error.add_note(f"input: {data!r}")
            raise
