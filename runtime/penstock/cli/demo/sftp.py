"""An SFTP server for the demo's images: ``python -m penstock.cli.demo.sftp FOLDER PORT``, on 127.0.0.1 only.

Its one user's password comes in the environment, where no other user of the machine sees it.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import sys
from pathlib import Path

import asyncssh

USER = "images"
PASSWORD = "PENSTOCK_DEMO_SFTP_PASSWORD"  # noqa: S105  (the variable's name)


class _Door(asyncssh.SSHServer):
    """Lets the one user in."""

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002  (asyncssh's signature)
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        expected = os.environ.get(PASSWORD, "")
        right = hmac.compare_digest(password.encode(), expected.encode())
        return bool(expected) and username == USER and right


async def serve(folder: Path, port: int) -> asyncssh.SSHAcceptor:
    """Serve the files of ``folder``; a port of 0 takes a free one."""

    def files(channel: asyncssh.SSHServerChannel[bytes]) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=os.fsencode(folder))

    key = asyncssh.generate_private_key("ssh-ed25519")
    return await asyncssh.listen("127.0.0.1", port, server_factory=_Door, server_host_keys=[key], sftp_factory=files)


async def _main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    server = await serve(folder, port)
    print("ready", flush=True)
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(_main())
