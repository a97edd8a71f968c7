"""One NiFi, as the rest of Penstock talks to it."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from penstock.deploy.canvas._address import DEFAULT_ADDRESS, base_of
from penstock.deploy.canvas._login import Login
from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    from penstock.deploy.canvas._client import Client

_TIMEOUT: Final = 60.0  # seconds for one answer; NiFi does what takes longer in the background
_ANYBODY: Final = Login()
_one_at_a_time: Final = threading.RLock()


class Connection:
    """A NiFi and a login to it. Nothing is asked before the first call. Several can be used in one process.

    Args:
        address: ``http(s)://host:port``, with or without ``/nifi`` or ``/nifi-api``.
        login: who we are.
        timeout: seconds for one answer.

    Raises:
        SetupError: the address is none, a file cannot be read, or a login would go over plain http.
    """

    def __init__(self, address: str = DEFAULT_ADDRESS, login: Login = _ANYBODY, *, timeout: float = _TIMEOUT) -> None:
        self.address = base_of(address)
        self.login = login
        self._timeout = timeout
        self._made: Client | None = None
        if not self.login.is_anonymous and self.address.startswith("http:"):
            raise SetupError(f"NiFi takes logins over https only, and {self.address} is http")

    def __repr__(self) -> str:
        return f"Connection({self.address!r})"

    @property
    def client(self) -> Client:
        """The ``api_client`` to give to nipyapi's low-level classes: ``nipyapi.nifi.FlowApi(connection.client)``."""
        if self._made is None:
            from penstock.deploy.canvas._client import Client

            self._made = Client(self.address, self.login, self._timeout)
        return self._made

    def get(self, path: str, **query: object) -> Any:
        """Ask ``GET``; the answer is JSON as NiFi wrote it.

        Raises:
            RequestError: NiFi refuses; ``http_status`` is its status, such as 404 or 409.
            Unauthenticated: it wants a login, or another one.
            Unavailable: it cannot be reached.
        """
        return self.ask("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Ask ``POST``; errors as for ``get``."""
        return self.ask("POST", path, body=body)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Ask ``PUT``; errors as for ``get``."""
        return self.ask("PUT", path, body=body)

    def delete(self, path: str, **query: object) -> Any:
        """Ask ``DELETE``; errors as for ``get``."""
        return self.ask("DELETE", path, query=query)

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, object] | None = None,
    ) -> Any:
        """Ask NiFi's REST API for what its JSON says, without nipyapi's models, which drop what they do not know."""
        client = self.client
        with self._in_our_words():
            return client.call_api(
                quote(path),
                method,
                query_params=[(name, str(value)) for name, value in (query or {}).items()],
                header_params={"Accept": "application/json, text/plain"},
                body=dict(body) if body is not None else None,
                response_type="object",
                auth_settings=["bearerAuth"],
                _return_http_data_only=True,
            )

    @contextmanager
    def nipyapi(self) -> Iterator[ModuleType]:
        """Give nipyapi this connection as its global one, for as long as the block lasts.

        Only one thread of the process is in such a block at a time. Errors come out in our words.

        Example:
            >>> with connection.nipyapi() as nipyapi:
            ...     nipyapi.canvas.get_root_pg_id()
        """
        client = self.client
        import nipyapi  # type: ignore[import-untyped]

        configuration = nipyapi.config.nifi_config
        # Its models refuse enum values that a newer NiFi has.
        wanted = {"api_client": client, "host": client.host, "client_side_validation": False}
        with _one_at_a_time, self._in_our_words():
            before = {name: getattr(configuration, name) for name in wanted}
            cached, nipyapi.config.cache = nipyapi.config.cache, {}
            _set(configuration, wanted)
            try:
                yield nipyapi
            finally:
                _set(configuration, before)
                nipyapi.config.cache = cached

    def canvas_of(self, group_id: str) -> str:
        """The address of a process group's canvas, for a browser."""
        return f"{self.address}/nifi/#/process-groups/{group_id}"

    def version(self) -> str:
        """NiFi's version, such as ``2.3.0``; also the cheapest way to find out whether it answers."""
        return str(self.get("/flow/about")["about"]["version"])

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        from nipyapi.nifi.rest import ApiException  # type: ignore[import-untyped]

        from penstock.deploy.canvas._failures import of_status

        try:
            yield
        except ApiException as error:
            raise of_status(error.status, error.body, self.address, self.login) from None
        except ValueError as error:
            # nipyapi's functions wrap the answer of NiFi in a ValueError.
            cause = error.__cause__
            if isinstance(cause, ApiException):
                raise of_status(cause.status, cause.body, self.address, self.login) from None
            raise


def connect(address: str | None = None, login: Login | None = None) -> Connection:
    """The NiFi at ``address``, else the one ``PENSTOCK_NIFI_ADDRESS`` names, else the local one.

    Without a ``login`` it is the one that the other variables ``PENSTOCK_NIFI_*`` describe.

    Raises:
        SetupError: the address or the login is not right.
    """
    where = address or os.environ.get("PENSTOCK_NIFI_ADDRESS") or DEFAULT_ADDRESS
    return Connection(where, login or Login.from_environment(os.environ))


def _set(target: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(target, name, value)
