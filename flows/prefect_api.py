"""Prefect's REST API for who tells it of a run: one connection, plain HTTP, nothing but the standard library.

Prefect's own client takes 1.5 s of CPU to import. Whatever this one does not know (Prefect Cloud, passwords, headers of
one's own, TLS, proxies, another version) `reach` leaves to it.
"""

from __future__ import annotations

import json
import time
import uuid
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flows import local_server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

API_VERSION = "0.8.4"
TIMEOUT_S = 60.0
TRIES = 6
_LONGEST_PAUSE_S = 20.0
_IDLE_S = 3.0  # the server ends a connection that is idle for five seconds
_AGAIN = {408, 429, 502, 503}
_FORBIDDEN, _NO_CSRF = 403, 422
_OWN_COMPUTER = {"127.0.0.1", "localhost", "::1"}
_KNOWN = {
    "PREFECT_API_URL",
    "PREFECT_HOME",
    "PREFECT_PROFILE",
    "PREFECT_PROFILES_PATH",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY",
    "PREFECT_LOGGING_EXTRA_LOGGERS",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER",
}
_OF_SERVERS = ("PREFECT_SERVER_", "PREFECT_API_DATABASE_", "PREFECT_API_SERVICES_", "PREFECT_UI_", "PREFECT_WORKER_")
_AS_HERE = {"PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false"}
_FILES = {".env": "PREFECT_", "prefect.toml": "", "pyproject.toml": "[tool.prefect"}


class PrefectError(Exception):
    """A request was not answered as it should be; the message is a sentence for people.

    Attributes:
        status: of the HTTP answer; 0: there was none.
    """

    def __init__(self, sentence: str, *, status: int = 0) -> None:
        super().__init__(sentence)
        self.status = status


def is_plain(settings: Mapping[str, str], *, folder: Path) -> bool:
    """Say whether nothing is set that only Prefect's own client understands.

    Args:
        settings: the environment.
        folder: where the command runs; Prefect reads some settings from files there.
    """
    named = {key: value for key, value in settings.items() if key.startswith("PREFECT_")}
    profile = {key for key in local_server.active_profile(settings) if not key.startswith(_OF_SERVERS)}
    address = urlsplit(settings.get("PREFECT_API_URL", ""))
    proxied = any(settings.get(name) or settings.get(name.upper()) for name in ("http_proxy", "all_proxy"))
    return (
        address.scheme == "http"
        and address.username is None
        and (address.hostname in _OWN_COMPUTER or not proxied)
        and profile <= {"PREFECT_API_URL"}
        and all(_is_known(key, value) for key, value in named.items())
        and not any(_tells(folder / name, sign) for name, sign in _FILES.items())
    )


def _is_known(key: str, value: str) -> bool:
    return key in _KNOWN or key.startswith(_OF_SERVERS) or _AS_HERE.get(key) == value.lower()


def _tells(file: Path, sign: str) -> bool:
    """Say whether a file sets something of Prefect's."""
    with suppress(OSError):
        return sign.lower() in file.read_text(encoding="utf-8", errors="replace").lower()
    return False


def reach(settings: Mapping[str, str], *, folder: Path) -> PrefectApi | None:
    """Return the server that these settings name, when it is as we know servers; else None: Prefect's client may know.

    Args:
        settings: the environment.
        folder: where the command runs.
    """
    if not is_plain(settings, folder=folder):
        return None
    api = PrefectApi(settings["PREFECT_API_URL"], tries=1)
    with suppress(PrefectError, ValueError):
        theirs, ours = str(api.ask("GET", "admin/version")), version("prefect")
        if theirs.split(".")[:2] == ours.split(".")[:2]:
            api.take_token()
            api.tries = TRIES
            return api
    return None


class PrefectApi:
    """One server, asked one thing after the other, from one thread.

    Args:
        url: of the API: ``http://127.0.0.1:4200/api``.
        tries: how often a request is made that meets no answer, or a busy server.
        first_pause_s: between the first two of them; each further one is twice as long.
    """

    def __init__(self, url: str, *, tries: int = TRIES, first_pause_s: float = 0.5) -> None:
        address = urlsplit(url)
        self.tries = tries
        self._first_pause_s = first_pause_s
        self._path = address.path.rstrip("/")
        self._connection = HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_S)
        self._used_at = 0.0
        self._client = str(uuid.uuid4())
        self._headers = {"Content-Type": "application/json", "X-PREFECT-API-VERSION": API_VERSION}

    def take_token(self) -> None:
        """Ask for what a server with protection against cross-site requests wants to see; one without has none.

        Raises:
            PrefectError: it answered neither.
        """
        try:
            answer = self.ask("GET", f"csrf-token?client={self._client}")
        except PrefectError as error:
            if error.status != _NO_CSRF:
                raise
        else:
            if not isinstance(answer, dict) or "token" not in answer:
                raise PrefectError("the answer to GET csrf-token holds no token")
            self._headers |= {"Prefect-Csrf-Token": str(answer["token"]), "Prefect-Csrf-Client": self._client}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Make one request, again where it met no answer or a busy server; returns what the answer says.

        Raises:
            PrefectError: there was no answer, or none of success.
        """
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        problem, pause_s, renewed = PrefectError("it was not asked"), 0.0, False
        for tried in range(self.tries):
            time.sleep(pause_s)
            pause_s = min(self._first_pause_s * 2**tried, _LONGEST_PAUSE_S)
            try:
                status, text, after = self._once(method, path, data)
            except (OSError, HTTPException) as error:
                problem = PrefectError(f"no answer to {method} {path}: {type(error).__name__}: {error}")
                continue
            if 200 <= status < 300:  # noqa: PLR2004 - success
                return json.loads(text) if text else None
            problem = PrefectError(f"HTTP {status} to {method} {path}: {text[:200]!r}", status=status)
            if status == _FORBIDDEN and "Prefect-Csrf-Token" in self._headers and not renewed:
                renewed, pause_s = True, 0.0
                self.take_token()
            elif status in _AGAIN:
                pause_s = min(float(after) if after.isdigit() else pause_s, _LONGEST_PAUSE_S)
            else:
                break
        raise problem

    def _once(self, method: str, path: str, data: bytes | None) -> tuple[int, bytes, str]:
        if time.monotonic() - self._used_at > _IDLE_S:
            self._connection.close()
        try:
            self._connection.request(method, f"{self._path}/{path}", data, self._headers)
            answer = self._connection.getresponse()
            text = answer.read()
        except BaseException:
            self._connection.close()
            raise
        self._used_at = time.monotonic()
        return answer.status, text, answer.headers.get("Retry-After", "")


def ui_of(settings: Mapping[str, str]) -> str:
    """Return the address of the server's pages, as Prefect guesses it."""
    return settings.get("PREFECT_UI_URL") or settings["PREFECT_API_URL"].removesuffix("/api")


def extra_loggers(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return whose lines belong to a run's log beside Prefect's own."""
    named = settings.get("PREFECT_LOGGING_EXTRA_LOGGERS", "").split(",")
    return tuple(name.strip() for name in named if name.strip())
