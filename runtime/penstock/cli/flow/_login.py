"""Which NiFi is meant, who we are there, and the secrets that are given to it. No secret is ever an argument."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.deploy.canvas import Login
    from penstock.deploy.flows import Flows

EPILOG = """
[bold]Examples[/]

penstock flow create digits --template image-recognition --start

penstock flow apply digits.toml --dry-run

penstock flow --user admin --ca-file ca.pem list --address https://nifi.example:8443
"""

Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        "-a",
        help="Of the NiFi, as in a browser. [dim]\\[default: PENSTOCK_NIFI_ADDRESS, else http://127.0.0.1:18080][/]",
        show_default=False,
    ),
]
Name = Annotated[str, typer.Argument(help="Of the deployment, or the id of its process group.", show_default=False)]
PemFile = Path | None
_FILE: dict[str, Any] = {"exists": True, "dir_okay": False, "show_default": False}


def login(
    context: typer.Context,
    *,
    user: Annotated[
        str | None,
        typer.Option(help="Name for NiFi's login. The password is in PENSTOCK_NIFI_PASSWORD, or asked for."),
    ] = None,
    certificate: Annotated[
        PemFile, typer.Option(help="PEM file of a client certificate, or PENSTOCK_NIFI_CERTIFICATE.", **_FILE)
    ] = None,
    key: Annotated[PemFile, typer.Option(help="PEM file of its key, or PENSTOCK_NIFI_KEY.", **_FILE)] = None,
    ca_file: Annotated[
        PemFile, typer.Option(help="PEM file of NiFi's authority, or PENSTOCK_NIFI_CA_FILE.", **_FILE)
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Do not check who answers. For trying out only.")
    ] = False,
) -> None:
    """How to log in; a token is in PENSTOCK_NIFI_TOKEN."""
    if context.resilient_parsing:
        return
    environment = dict(os.environ)
    if user and not environment.get("PENSTOCK_NIFI_PASSWORD") and sys.stdin.isatty():
        environment["PENSTOCK_NIFI_PASSWORD"] = typer.prompt(f"Password of {user}", hide_input=True, err=True)

    def found() -> Login:
        from penstock.deploy.canvas import Login

        return Login.from_environment(
            environment, user=user, certificate=certificate, key=key, ca_file=ca_file, verify=not insecure
        )

    context.obj = found


def flows(context: typer.Context, address: str | None, parent: str = "root") -> Flows:
    """The deployments of the NiFi that is meant."""
    from penstock.deploy.canvas import connect
    from penstock.deploy.flows import Flows

    return Flows(connect(address, context.obj()), parent)


def given_secrets(names: Iterable[str]) -> dict[str, str]:
    """The values of ``NAME`` (asked for, or a line of the standard input each) and ``NAME=VARIABLE``.

    Raises:
        SetupError: there is no such variable, or not enough lines.
    """
    from penstock.proto.errors import SetupError

    values = {}
    for each in names:
        name, _, variable = each.partition("=")
        if variable:
            if variable not in os.environ:
                raise SetupError(f"the environment variable {variable} for the secret '{name}' is not set")
            values[name] = os.environ[variable]
        elif sys.stdin.isatty():
            values[name] = typer.prompt(f"Value of {name}", hide_input=True, err=True)
        else:
            line = sys.stdin.readline()
            if not line:
                raise SetupError(f"the secret '{name}' has no value: there is no line for it on the standard input")
            values[name] = line.rstrip("\r\n")
    return values
