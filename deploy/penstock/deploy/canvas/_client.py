"""nipyapi's low-level client, one for each connection.

nipyapi keeps address, certificates and token in one configuration for the whole process, and gives log handlers of
its own to urllib3 when it is imported. Here each connection has its own pool, time-outs and token, and the loggers
are given back.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import nipyapi  # type: ignore[import-untyped]
import urllib3
from nipyapi.nifi.api_client import ApiClient  # type: ignore[import-untyped]
from nipyapi.nifi.rest import ApiException  # type: ignore[import-untyped]

from penstock.deploy.canvas._address import is_loopback
from penstock.deploy.canvas._failures import of_status, of_tls, of_transport

if TYPE_CHECKING:
    from penstock.deploy.canvas._login import Login

_CONNECT: Final = 10.0  # seconds
_POOL: Final = 4  # connections kept open; the commands ask one thing after the other


def _silence() -> None:
    for configuration in (nipyapi.config.nifi_config, nipyapi.config.registry_config):
        for logger in configuration.logger.values():
            logger.removeHandler(configuration.logger_stream_handler)
            logger.setLevel(logging.NOTSET)
    logging.getLogger("nipyapi").addHandler(logging.NullHandler())


_silence()


class Client(ApiClient):  # type: ignore[misc]
    """An ``ApiClient`` with certificates, token and time-outs of its own.

    HTTP errors are raised as nipyapi's ``ApiException``, which its own functions look at; failures without an answer
    are raised as ours.
    """

    def __init__(self, base: str, login: Login, timeout: float) -> None:
        super().__init__(host=f"{base}/nifi-api")
        self._base = base
        self._login = login
        self._timeout = timeout
        self._token = login.token
        self.rest_client.pool_manager = _pool(base, login)
        self.user_agent = "penstock"

    def request(self, method: str, url: str, **options: Any) -> Any:
        """Ask NiFi, logging in where that has not been done or the token has expired.

        Raises:
            ApiException: NiFi's answer is an HTTP error.
            Unavailable: no answer, and other failures of the connection.
        """
        fresh = self._token is None
        headers = options.setdefault("headers", {})
        if self._login.user is not None and not url.endswith("/access/token"):
            headers["Authorization"] = f"Bearer {self._logged_in()}"
        try:
            return self._ask(method, url, options)
        except ApiException as error:
            if error.status != 401 or fresh or self._login.user is None:
                raise
            self._token = None
            headers["Authorization"] = f"Bearer {self._logged_in()}"
            return self._ask(method, url, options)

    def update_params_for_auth(self, headers: dict[str, str], *_: Any, **__: Any) -> None:
        """Add the token of this connection, rather than that of nipyapi's configuration."""
        if self._login.token is not None:
            headers["Authorization"] = f"Bearer {self._login.token}"

    def _logged_in(self) -> str:
        if self._token is None:
            user, password = self._login.user, self._login.password
            try:
                token = nipyapi.nifi.AccessApi(self).create_access_token(username=user, password=password)
            except ApiException as error:
                # A wrong password is status 400 here.
                status = 401 if error.status == 400 else error.status
                raise of_status(status, error.body, self._base, self._login) from None
            self._token = str(token)
        return self._token

    def _ask(self, method: str, url: str, options: dict[str, Any]) -> Any:
        wanted = options.get("_request_timeout") or self._timeout
        settings = options | {"_request_timeout": (_CONNECT, wanted)}
        try:
            return super().request(method, url, **settings)
        except urllib3.exceptions.HTTPError as error:
            raise of_transport(error, self._base) from None
        except ApiException as error:
            if error.status:
                raise
            raise of_tls(str(error.reason), self._base) from None


def _pool(base: str, login: Login) -> urllib3.PoolManager:
    parts = urlsplit(base)
    settings: dict[str, Any] = {"maxsize": _POOL, "retries": False}
    if parts.scheme == "https":
        settings["ssl_context"] = login.tls()
        if not login.verify:
            # Whoever asks for that knows; a warning for each call would hide what matters.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    host = parts.hostname or ""
    proxies = {} if is_loopback(host) or proxy_bypass(host) else getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy:
        return urllib3.ProxyManager(proxy if "://" in proxy else f"http://{proxy}", **settings)
    return urllib3.PoolManager(**settings)
