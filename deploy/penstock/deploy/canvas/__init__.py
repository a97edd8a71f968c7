"""A connection to a NiFi: where it is, how to log in, and its REST API through nipyapi, without nipyapi's globals."""

from __future__ import annotations

from penstock.deploy.canvas._address import DEFAULT_ADDRESS
from penstock.deploy.canvas._connection import Connection, connect
from penstock.deploy.canvas._login import Login

__all__ = ["DEFAULT_ADDRESS", "Connection", "Login", "connect"]
