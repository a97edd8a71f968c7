"""The processors and everything they need, for a NiFi: as a folder, or as a NAR. No pip and no network there.

Both hold copies of what is installed here, so NiFi runs the very versions that were tested, and two builds of the
same environment are the same byte for byte. They fit the Python and the platform that made them.
"""

from __future__ import annotations

from penstock.deploy.nar._archive import build
from penstock.deploy.nar._layout import lay_out

__all__ = ["build", "lay_out"]
