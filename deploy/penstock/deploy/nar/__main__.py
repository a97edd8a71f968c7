"""``python -m penstock.deploy.nar [DIR]``: build the NAR, in ``dist`` unless told otherwise."""

from __future__ import annotations

import sys
from pathlib import Path

from penstock.deploy.nar import build
from penstock.proto.errors import PenstockError

if __name__ == "__main__":
    try:
        print(build(Path(*sys.argv[1:2] or ["dist"])))
    except PenstockError as error:
        sys.exit(f"error: {error.message}")
