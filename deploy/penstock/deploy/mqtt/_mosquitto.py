"""Mosquitto's files and command line."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.deploy.ports import LOOPBACK
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CONFIGURATION = "mosquitto.conf"
_NOT_ON_PATH = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"  # where packages put it, and users' paths do not look
_QUEUED = 100_000  # for a session that is away; mosquitto's own 1,000 drops the rest and tells nobody but its log
_IN_FLIGHT = 0  # no limit but the client's own; mosquitto's 20 would be the largest batch of a worker
_LARGEST = 16 << 20


@dataclass(frozen=True, slots=True)
class Security:
    """How clients are let in, and what they may do.

    Attributes:
        cert_file: PEM file of the broker's certificate; None is plain TCP.
        key_file: PEM file of its key.
        client_ca_file: PEM file of the authorities whose client certificates are asked for; None asks for none.
        users: passwords by user name; none lets everybody in.
        rules: lines of mosquitto's ACL file; none lets everybody do everything.
    """

    cert_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    users: Mapping[str, str] = field(default_factory=dict)
    rules: Sequence[str] = ()


def found(program: str = "mosquitto") -> str | None:
    """Where a program of mosquitto's is; None where it is not installed."""
    return shutil.which(program) or shutil.which(program, path=_NOT_ON_PATH)


def command(folder: Path) -> list[str]:
    """The broker itself; its configuration file is an argument by which the process is known again."""
    return [found() or "mosquitto", "-c", str(folder / CONFIGURATION)]


def write_files(folder: Path, port: int, security: Security) -> None:
    """Write the configuration, and with it users and rules.

    Raises:
        SetupError: the passwords cannot be hashed.
    """
    lines = [
        f"listener {port} {LOOPBACK}",
        f"user {getpass.getuser()}",  # started by root it would change to a user who cannot write here
        f"allow_anonymous {'false' if security.users else 'true'}",
        "persistence true",
        f"persistence_location {folder}/",
        "autosave_interval 1",  # seconds; sessions survive the broker's own kill but for the last second
        f"max_queued_messages {_QUEUED}",
        f"max_inflight_messages {_IN_FLIGHT}",
        f"message_size_limit {_LARGEST}",
        "set_tcp_nodelay true",
        *_tls(security),
    ]
    if security.users:
        _write_passwords(folder / "passwords", security.users)
        lines.append(f"password_file {folder / 'passwords'}")
    if security.rules:
        _write_private(folder / "rules", security.rules)
        lines.append(f"acl_file {folder / 'rules'}")
    (folder / CONFIGURATION).write_text("\n".join(lines) + "\n")


def _tls(security: Security) -> list[str]:
    if security.cert_file is None:
        return []
    lines = [f"certfile {security.cert_file}", f"keyfile {security.key_file}"]
    if security.client_ca_file is not None:
        lines += [f"cafile {security.client_ca_file}", "require_certificate true"]
    return lines


def _write_passwords(file: Path, users: Mapping[str, str]) -> None:
    """Hash them in place: given as arguments, every user of the machine could read them in the list of processes."""
    program = found("mosquitto_passwd")
    if program is None:
        raise SetupError("mosquitto_passwd, which belongs to mosquitto, is not there", code="NO_BROKER")
    _write_private(file, [f"{user}:{password}" for user, password in users.items()])
    done = subprocess.run([program, "-U", str(file)], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SetupError(f"mosquitto_passwd failed: {done.stderr.strip() or done.stdout.strip()}", code="BROKER_FAILED")


def _write_private(file: Path, lines: Sequence[str]) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write("\n".join(lines) + "\n")
