"""Asks a NiFi whether it serves."""

from __future__ import annotations

import json
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

import psutil

from penstock.deploy.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Collection


def ask(port: int, path: str, *, timeout: float = 5.0) -> Any:
    """The JSON that a NiFi on this machine answers to GET; None where there is no answer, or another one.

    Not urllib: that would ask a proxy from the environment.
    """
    connection = HTTPConnection(LOOPBACK, port, timeout=timeout)
    try:
        connection.request("GET", f"/nifi-api{path}")
        answer = connection.getresponse()
        return json.load(answer) if answer.status == 200 else None
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()


def serves(process: psutil.Process, port: int) -> bool:
    """Whether NiFi answers on this port, and is this process or a child of it: a stranger there is not taken for it."""
    return _listens(process, port) and bool(ask(port, "/flow/about"))


def offered(port: int) -> set[str]:
    """The simple names of all processor types on the canvas's list, such as ``InvokeModel``."""
    answer = ask(port, "/flow/processor-types") or {}
    return {entry["type"].rpartition(".")[2] for entry in answer.get("processorTypes", ())}


def _listens(process: psutil.Process, port: int) -> bool:
    with suppress(psutil.Error):
        return any(_is_at(each, port) for each in (process, *process.children()))
    return False


def _is_at(process: psutil.Process, port: int) -> bool:
    connections: Collection[Any] = process.net_connections("tcp")
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in connections)
