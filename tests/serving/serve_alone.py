"""``penstock serve`` as a script for ``python -c``, without the groups of commands that its tests have no use for."""

SERVE = """
import sys, typer
from penstock.cli import serve
from penstock.proto import PenstockError
app = typer.Typer()
app.callback()(lambda: None)
serve.register(app)
try:
    app()
except PenstockError as error:
    sys.exit(f"error: {error.message}")
"""
