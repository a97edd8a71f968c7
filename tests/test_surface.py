"""What each package offers is what its `__all__` says, sorted, and nothing leaks from the inside."""

import importlib
import subprocess
import sys
import types

import pytest

PACKAGES = ["proto", "client", "serving", "streams", "deploy"]


@pytest.mark.parametrize("name", PACKAGES)
def test_all_is_sorted_and_complete(name: str) -> None:
    package = importlib.import_module(f"penstock.{name}")
    offered = getattr(package, "__all__", [])
    assert offered == sorted(offered, key=lambda word: (not word.isupper(), not word[0].isupper(), word))
    public = {
        word
        for word, value in vars(package).items()
        if not word.startswith("_") and not isinstance(value, types.ModuleType) and word != "annotations"
    }
    assert public <= set(offered)
    assert all(hasattr(package, word) for word in offered)  # some are imported when they are asked for


def test_the_base_install_needs_no_extra() -> None:
    """proto and client import nothing that only an extra brings."""
    script = (
        "import sys, penstock.proto, penstock.client; "
        "print([m for m in ('onnxruntime', 'faust', 'httptools', 'rich', 'typer', 'psutil') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_command_whose_extra_is_missing_says_what_to_install() -> None:
    script = "import sys; sys.modules['typer'] = None; import penstock.cli; penstock.cli.main()"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "error: this command needs typer, which is not installed: pip install 'penstock[all]'\n"
