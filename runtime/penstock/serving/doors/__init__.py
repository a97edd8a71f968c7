"""The doors: each protocol reads bytes, calls the service, and writes bytes."""

from .grpc import start_grpc
from .http import start_http

__all__ = ["start_grpc", "start_http"]
