"""``penstock serve`` beside a real seldon-core-microservice: ``python -m bench.service --help``.

Both answer the same requests on one core, the load comes from another, and they take turns in rounds.
"""

from __future__ import annotations

import argparse
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench import load, report, works
from bench.cores import prefixes
from bench.rounds import measure
from tests.peers import servers
from tests.peers.environments import NoPython, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.rounds import Round
    from bench.works import Work
    from tests.peers.servers import Server

_WRAPPER = Path(__file__).parent / "model" / "SeldonWrapper.py"
# The fastest first: 1.19.0 has a protobuf in C on Python 3.12, 1.18.2 one in pure Python from 3.11 on.
_PEERS = ("seldon-core-1.19.0", "seldon-core-1.18.2")
_GROUPS: dict[str, Callable[[Path], Iterator[Work]]] = {"iris": works.iris, "image": works.image}


def main() -> None:
    """Measure, print the table, keep the results."""
    options = _options()
    load.check_tools()
    options.peer = options.seldon or _best_peer()
    commit = report.commit()
    results: dict[tuple[Work, str], list[Round]] = {}
    for group in options.works:
        results |= _measure(group, options)
    rows = report.rows_of(results)
    print(report.table(rows))
    settings = {
        "commit": commit,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "seed": works.SEED,
        "works": options.works,
        "options": options.options,
    }
    print(f"\nkept in {report.write(rows, settings, options.peer, options.file)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.service", description=__doc__)
    parser.add_argument("--works", nargs="+", choices=_GROUPS, default=list(_GROUPS), help="what to measure")
    parser.add_argument("--rounds", type=int, default=3, help="how often the servers take turns (3)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of one round of one server (3)")
    parser.add_argument("--only", default="", help="of the works' names, doors and encodings: those with this text")
    parser.add_argument("--seldon", choices=_PEERS, help="the first of these that a Python is here for")
    parser.add_argument("--python", action="store_true", help="also our service with seldon-core's Python class")
    parser.add_argument(
        "--options", default="", help="more options of penstock serve, such as --options=--batch-wait=0.001"
    )
    parser.add_argument("--file", default="latest.json", help="under bench/results (latest.json)")
    return parser.parse_args()


def _best_peer() -> str:
    for peer in _PEERS[:-1]:
        with suppress(NoPython):
            environment(peer)
            return peer
    return _PEERS[-1]


def _measure(group: str, options: argparse.Namespace) -> dict[tuple[Work, str], list[Round]]:
    server_prefix, load_prefix = prefixes()
    with TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary) / "model"
        folder.mkdir()
        shutil.copy(_WRAPPER, folder)
        cells = [work for work in _GROUPS[group](folder / "model.onnx") if options.only in " ".join(work.key)]
        results: dict[tuple[Work, str], list[Round]] = {}
        running = _start(stack, folder, options, server_prefix)
        for contenders, some in _matched(cells, running, python=options.python):
            print(f"{group}: {len(some)} works, {', '.join(contenders)}", flush=True)
            results |= measure(
                some,
                contenders,
                rounds=options.rounds,
                seconds=options.seconds,
                prefix=load_prefix,
                say=lambda text: print(f"  {text}", flush=True),
            )
        return {(work, name): results[work, name] for work in cells for name in running if (work, name) in results}


def _start(stack: ExitStack, folder: Path, options: argparse.Namespace, prefix: Sequence[str]) -> dict[str, Server]:
    logs, more = folder.parent, options.options.split()
    seldon = servers.seldon_core(folder, logs / "seldon.log", peer=options.peer, prefix=prefix)
    onnx = servers.penstock(folder / "model.onnx", logs / "onnx.log", options=more, prefix=prefix)
    python = servers.penstock(folder, logs / "class.log", options=more, prefix=prefix)
    started = {report.REFERENCE: seldon, "penstock": onnx, "penstock, class": python}
    return {name: stack.enter_context(server) for name, server in started.items()}


def _matched(
    cells: list[Work], running: dict[str, Server], *, python: bool
) -> Iterator[tuple[dict[str, Server], list[Work]]]:
    """Which servers meet at which works: an ONNX file alone has no use for bytes, so there our Python class runs."""
    without_onnx = {name: server for name, server in running.items() if name != "penstock"}
    without_class = {name: server for name, server in running.items() if name != "penstock, class"}
    for contenders, some in (
        (running if python else without_class, [work for work in cells if work.encoding != "binData"]),
        (without_onnx, [work for work in cells if work.encoding == "binData"]),
    ):
        if some:
            yield contenders, some


if __name__ == "__main__":
    main()
