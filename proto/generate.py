"""Generates the protobuf modules from our own ``.proto`` files: ``python proto/generate.py [--check]``.

``--check`` writes nothing and exits with 1 where what is committed is not what protoc makes of the files today.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]

ROOT = Path(__file__).parent
PACKAGE = Path("penstock/proto")
INCLUDES = Path(protoc.__file__).parent / "_proto"


def generate(target: Path) -> dict[str, str]:
    """Run protoc into ``target``; return the files it wrote, by name."""
    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / PACKAGE).glob("*.proto"))
    arguments = ["protoc", f"-I{ROOT}", f"-I{INCLUDES}", f"--python_out={target}", f"--pyi_out={target}", *sources]
    if protoc.main(arguments) != 0:
        sys.exit("protoc failed")
    return {path.name: _own_pool(path.read_text()) for path in sorted((target / PACKAGE).iterdir())}


def _own_pool(text: str) -> str:
    # Why: see penstock/proto/pool.py.
    return text.replace(
        "from google.protobuf import descriptor_pool as _descriptor_pool",
        "from penstock.proto.pool import POOL as _POOL",
    ).replace("_descriptor_pool.Default()", "_POOL")


def main() -> None:
    """Write the modules, or check them."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = generate(Path(folder))
    if "--check" not in sys.argv[1:]:
        for name, text in fresh.items():
            (ROOT / PACKAGE / name).write_text(text)
        return
    stale = [name for name, text in fresh.items() if _committed(name) != text]
    if stale:
        sys.exit(f"not current: {', '.join(stale)}; run `uv run just protos`")


def _committed(name: str) -> str:
    path = ROOT / PACKAGE / name
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    main()
