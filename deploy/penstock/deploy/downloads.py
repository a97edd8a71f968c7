"""Downloads single files of a Maven repository through jgo, which knows the repositories and the user's mirrors."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext, PythonResolver
from requests import RequestException
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from penstock.proto.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penstock.deploy.pins import Pin
    from penstock.deploy.progress import Watcher

ATTEMPTS = 3
TIMEOUT = 20  # seconds without a single byte, not seconds for the whole file


class Stopped(Exception):  # noqa: N818  (asked for, not an error)
    """Another download failed or the user gave up, so this one was cut short."""


class Downloads:
    """Fetches pins into a staging folder that nobody else uses; may be called from several threads."""

    def __init__(self, staging: Path, watcher: Watcher) -> None:
        self._watcher = watcher
        self._stop = Event()
        self._repositories = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
        resolver = PythonResolver(progress_callback=self._watched)
        self._maven = MavenContext(resolver, repo_cache=staging, remote_repos=self._repositories, timeout=TIMEOUT)

    def stop(self) -> None:
        """Cut short every download that is under way."""
        self._stop.set()

    def fetch(self, pin: Pin) -> Path:
        """Download one file, with retries; its content is not checked here.

        Raises:
            SetupError: it cannot be had; the text says from where it was tried, and what to do.
            Stopped: `stop` was called meanwhile.
        """
        retried = retry_if_exception_type((RequestException, RuntimeError))
        wait = wait_random_exponential(multiplier=0.5, max=5)
        try:
            return Retrying(retry=retried, stop=stop_after_attempt(ATTEMPTS), wait=wait, reraise=True)(self._once, pin)
        except RequestException as error:
            raise self._failure(pin, _reason(error)) from error
        except RuntimeError as error:  # what jgo raises for any status but 200
            raise self._failure(pin, "no repository has it, or it answers with an error") from error

    def _once(self, pin: Pin) -> Path:
        if self._stop.is_set():
            raise Stopped
        component = self._maven.project(pin.group, pin.artifact).at_version(pin.version)
        artifact = component.artifact(classifier=pin.classifier, packaging=pin.packaging)
        if artifact.cached_path is not None:
            artifact.cached_path.unlink(missing_ok=True)  # the part that an earlier attempt left; jgo would trust it
        return artifact.resolve()

    @contextmanager
    def _watched(self, _name: str, _size: int) -> Iterator[Callable[[int], None]]:
        seen = 0

        def update(count: int) -> None:
            nonlocal seen
            if self._stop.is_set():
                raise Stopped
            seen += count
            self._watcher.received(count)

        try:
            yield update
        except BaseException:
            self._watcher.received(-seen)
            raise

    def _failure(self, pin: Pin, reason: str) -> SetupError:
        tried = ", ".join(self._repositories.values())
        return SetupError(
            f"cannot fetch {pin.filename} ({pin}) from {tried}: {reason} ({ATTEMPTS} attempts). "
            "Check the network; behind a proxy set HTTPS_PROXY; "
            "for a mirror put `central = URL` into the repositories section of ~/.config/jgo.conf. "
            "What was fetched so far is kept.",
            code="CANNOT_FETCH",
        )


def _reason(error: RequestException) -> str:
    text = str(error)
    known = {
        "resolve": "the name of the host cannot be resolved",
        "refused": "the connection is refused",
        "timed out": "no answer in time",
        "CERTIFICATE": "the certificate is not trusted",
    }
    return next((plain for sign, plain in known.items() if sign in text), type(error).__name__)
