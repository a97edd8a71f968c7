"""One service process: load a model, batch, answer on every protocol."""

from .service import Service
from .settings import Settings

__all__ = ["Service", "Settings"]
