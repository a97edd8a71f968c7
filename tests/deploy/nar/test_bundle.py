"""The bundle that NiFi gets: complete, alone, the same each time, and honest about what it fits."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import pytest

from penstock.deploy.nar import build, lay_out

INSIDE = Path("NAR-INF", "bundled-dependencies")

# Everything that a processor can import, then what must not be there. Run with nothing but the bundle on the path.
IMPORTS = """
import sys; sys.path.append(sys.argv[1])
import importlib, importlib.util, pkgutil
import kafka, penstock.client, penstock.processors, penstock.proto
for package in (penstock.client, penstock.processors, penstock.proto):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
absent = ["penstock.serving", "penstock.deploy", "penstock.cli", "penstock.streams", "onnxruntime", "typer", "pytest"]
print([name for name in absent if importlib.util.find_spec(name)])
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(tmp_path_factory.mktemp("nar") / "bundle")


@pytest.fixture(scope="module")
def nar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nar") / "built")


def python(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """This Python as NiFi runs it: without its site-packages."""
    return subprocess.run([sys.executable, "-S", "-I", "-B", *arguments], capture_output=True, text=True, check=False)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_that_everything_imports_with_the_bundle_alone(bundle: Path) -> None:
    done = python("-c", IMPORTS, bundle / INSIDE)

    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_that_extensions_are_at_the_root_and_nowhere_else(bundle: Path) -> None:
    source = Path(__file__).parents[3] / "processors/penstock/processors/extensions"

    assert {path.name for path in bundle.glob("*.py")} == {path.name for path in source.glob("*.py")}
    assert not (bundle / INSIDE / "penstock/processors/extensions").exists()


def test_what_nifi_reads_of_an_extension_without_running_it(bundle: Path) -> None:
    for path in bundle.glob("*.py"):
        [details] = [
            node for node in ast.walk(ast.parse(path.read_text())) if getattr(node, "name", "") == "ProcessorDetails"
        ]
        assert isinstance(details, ast.ClassDef)
        values = {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in details.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        assert values["version"] == version("penstock"), path.name
        assert values["description"], path.name
        assert "penstock" in values["tags"], path.name
        assert "dependencies" not in values, path.name  # NiFi would run pip


def test_that_each_distribution_keeps_its_name_and_licence(bundle: Path) -> None:
    records = list((bundle / INSIDE).glob("*.dist-info"))

    assert any(record.name.startswith("numpy-") for record in records)
    assert any(record.name.startswith("penstock-") for record in records)
    for record in records:
        assert (record / "METADATA").exists()
        assert [path for path in record.rglob("*") if "licen" in path.name.lower()], record.name


def test_that_laying_out_again_changes_nothing(bundle: Path) -> None:
    before = {path: path.stat().st_ino for path in [bundle, *bundle.rglob("*")]}

    lay_out(bundle)

    assert {path: path.stat().st_ino for path in [bundle, *bundle.rglob("*")]} == before


def test_that_another_bundle_is_replaced_as_a_whole(tmp_path: Path, bundle: Path) -> None:
    place = tmp_path / "bundle"
    for left in (place, tmp_path / ".bundle.part", tmp_path / ".bundle.old"):  # as by a kill in the middle
        left.mkdir()
        (left / "OfAnOldVersion.py").touch()

    lay_out(place)

    assert files(place) == files(bundle)
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", ".bundle.lock"}


def test_that_two_builds_are_the_same_bytes(tmp_path: Path, nar: Path) -> None:
    other = build(tmp_path)

    assert other.name == nar.name
    assert other.read_bytes() == nar.read_bytes()
    assert list(tmp_path.iterdir()) == [other]


def test_that_a_nar_holds_what_a_folder_holds(nar: Path, bundle: Path) -> None:
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}-"

    assert nar.name.startswith(f"penstock-nifi-{version('penstock')}-{tag}")
    with zipfile.ZipFile(nar) as archive:
        held = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
        manifest = held.pop("META-INF/MANIFEST.MF").decode()
    assert held.keys() == files(bundle) - {".penstock-bundle"}
    assert all(content == (bundle / name).read_bytes() for name, content in held.items())
    assert f"Nar-Id: penstock-nifi\r\nNar-Group: penstock\r\nNar-Version: {version('penstock')}\r\n" in manifest


def test_the_order_that_nifi_reads_in(nar: Path) -> None:
    with zipfile.ZipFile(nar) as archive:
        names = archive.namelist()

    assert names[:2] == ["META-INF/", "META-INF/MANIFEST.MF"]  # a NAR from the network is read as a stream
    folders = [name for name in names if name.endswith("/")]
    assert names[2 : len(folders) + 1] == folders[1:]  # then all of them, before any other file
    parents = {f"{parent}/" for name in names for parent in PurePosixPath(name).parents if parent.name}
    assert parents <= {*folders}


def test_that_the_build_time_can_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")

    with zipfile.ZipFile(build(tmp_path)) as archive:
        assert {info.date_time for info in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}
        assert b"Build-Timestamp: 2023-11-14T22:13:20Z" in archive.read("META-INF/MANIFEST.MF")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("python", "3.9", "made for Python 3.9 on"),
        ("platform", "win-amd64", "on win-amd64, but NiFi runs"),
        ("implementation", "pypy", "made for pypy 3."),
    ],
)
def test_that_a_bundle_for_another_python_says_so_in_one_line(
    tmp_path: Path, bundle: Path, key: str, value: str, said: str
) -> None:
    package = tmp_path / "penstock" / "processors"
    package.mkdir(parents=True)
    for name in ("__init__.py", "built_for.py", "built-for.json"):
        (package / name).write_bytes((bundle / INSIDE / "penstock" / "processors" / name).read_bytes())
    note = package / "built-for.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), key: value}))

    done = python("-c", "import sys; sys.path.append(sys.argv[1]); import penstock.processors.rows", tmp_path)

    [line] = [line for line in done.stderr.splitlines() if line.startswith("ImportError")]
    assert said in line
    assert "nifi.python.command" in line
