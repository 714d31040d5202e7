"""Which Prefect server a command uses: the one named, the one that `ui` started, or a lean temporary one of its own."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import sqlite3
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILE = "server.json"


def folder_of(state: Path) -> Path:
    """Return where our Prefect servers keep their database and logs."""
    return state / "prefect"


def named_server() -> str:
    """Return the API address that the environment or Prefect's active profile names; empty when none does."""
    if url := os.environ.get("PREFECT_API_URL"):
        return url
    return active_profile(os.environ).get("PREFECT_API_URL", "")


def active_profile(settings: Mapping[str, str]) -> dict[str, str]:
    """Return what Prefect's active profile sets, for who has these settings in the environment."""
    home = Path(settings.get("PREFECT_HOME") or Path.home() / ".prefect")
    path = Path(settings.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    if not path.is_file():
        return {}
    import tomllib

    try:
        profiles = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    active = profiles.get("profiles", {}).get(settings.get("PREFECT_PROFILE") or profiles.get("active", ""), {})
    return {key: str(value) for key, value in active.items()}


def is_alive(api_url: str, *, timeout_s: float = 2) -> bool:
    """Say whether a Prefect API answers there."""
    import urllib.request

    with suppress(OSError, ValueError):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{api_url.rstrip('/')}/health", timeout=timeout_s) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004 - OK
    return False


def local_server(state: Path) -> dict[str, Any]:
    """Return what `ui` wrote about the server it started, when that server still answers; else an empty dict."""
    try:
        known: dict[str, Any] = json.loads((folder_of(state) / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if is_alive(str(known.get("api_url", ""))) else {}


def remember(state: Path, known: dict[str, Any] | None) -> None:
    """Write down the server that runs for this state folder, or forget it."""
    path = folder_of(state) / _FILE
    if known is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(known), encoding="utf-8")
    temporary.replace(path)


def free_port() -> int:
    """Return a port on loopback that nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path, *, api_url: str) -> dict[str, str]:
    """Return the Prefect settings that our servers and their clients share: private, silent, loopback only."""
    return {
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": api_url,
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder / 'prefect.db'}",
        # An event that finds SQLite locked is lost, and with it what an automation counts.
        "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
        "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "60",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    }


# What a temporary server does not need: nobody looks at it, nothing is scheduled on it, it lives as long as one run.
_LEAN = {
    "PREFECT_UI_ENABLED": "false",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
    "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
    # Nobody watches its events as they come; those of task runs are written together, not each in a transaction.
    "PREFECT_API_EVENTS_STREAM_OUT_ENABLED": "false",
    # SQLAlchemy makes an object of each value that one statement writes: more rows at once leave a larger heap.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "25",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # Only by time, and once at the end: what is written as each so many are there, the server's end cuts off.
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "500",
}

# What its one client need not ask it: it is the same Prefect, and nobody else speaks to it.
_TO_A_TEMPORARY_ONE = {
    "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
}


def _empty() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("persona-ingest", appauthor=False)) / f"prefect-{version('prefect')}.db"


def has_tables(folder: Path) -> bool:
    """Say whether the folder's database has the tables of the installed Prefect; give it some when it is new."""
    database, mark = folder / "prefect.db", folder / f"tables-of-{version('prefect')}"
    if not database.exists() and _empty().is_file():
        with suppress(OSError):
            shutil.copyfile(_empty(), database)
            mark.touch()
    return database.exists() and mark.exists()


def keep_empty(folder: Path) -> None:
    """Note that the folder's database has its tables, and keep a copy for other folders while it is empty."""
    mark, empty = folder / f"tables-of-{version('prefect')}", _empty()
    if mark.exists():
        return
    mark.touch()
    with suppress(OSError, sqlite3.Error), closing(sqlite3.connect(folder / "prefect.db", timeout=5)) as source:
        if empty.exists() or source.execute("select count(*) from flow_run").fetchone()[0]:
            return
        empty.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = empty.with_suffix(f".{os.getpid()}")
        with closing(sqlite3.connect(new)) as target:
            source.backup(target)
        new.replace(empty)


def without_tls(folder: Path, api_url: str) -> dict[str, str]:
    """Return settings for who speaks to nobody but a server on this machine over plain HTTP; none for another server.

    Each of Prefect's clients reads some 140 certificates, 20 ms of CPU, and a flow makes seven clients that verify
    nothing: for them one certificate is enough.
    """
    address = urlsplit(api_url)
    if address.scheme != "http" or address.hostname not in {"127.0.0.1", "localhost", "::1"}:
        return {}
    import certifi

    end = "-----END CERTIFICATE-----\n"
    one = folder / "certificate.pem"
    new = one.with_suffix(f".{os.getpid()}")  # another command may read the old one now
    with suppress(OSError, UnicodeDecodeError):
        new.write_text(Path(certifi.where()).read_text(encoding="utf-8").partition(end)[0] + end, encoding="utf-8")
        new.replace(one)
        return {"SSL_CERT_FILE": str(one)}
    return {}


def temporary(folder: Path, *, api_url: str) -> dict[str, str]:
    """Return the settings of a temporary server and of the flows beside it; a new folder gets tables that are kept."""
    settings = {**environment(folder, api_url=api_url), **_LEAN, **_TO_A_TEMPORARY_ONE}
    # Rows are written many at once, each time so many: no such statement comes again, and its program is large.
    settings["PREFECT_API_DATABASE_CONNECTION_URL"] += "?cached_statements=0"
    return settings | ({"PREFECT_API_DATABASE_MIGRATE_ON_START": "false"} if has_tables(folder) else {})


def next_nightly_sync(api_url: str, *, timeout_s: float = 3) -> str:
    """Return when the server runs the nightly sync next, ISO 8601 in UTC; empty when it does not say."""
    with suppress(OSError, ValueError, KeyError, IndexError, TypeError):
        headers = _headers(api_url, timeout_s=timeout_s)
        wanted = {
            "deployments": {"name": {"any_": ["nightly-sync"]}},
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": 1,
        }
        found = _asked(f"{api_url}/flow_runs/filter", headers, body=wanted, timeout_s=timeout_s)
        return str(found[0]["expected_start_time"])
    return ""


def has_worker(api_url: str, pool: str, *, timeout_s: float = 3) -> bool:
    """Say whether a worker of this pool has reported to the server."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        headers = _headers(api_url, timeout_s=timeout_s)
        return bool(_asked(f"{api_url}/work_pools/{pool}/workers/filter", headers, body={}, timeout_s=timeout_s))
    return False


def _headers(api_url: str, *, timeout_s: float) -> dict[str, str]:
    """Return what a question needs: the password, and the token where the server wants one."""
    headers = {"Prefect-Csrf-Client": "persona-ingest-status", "Content-Type": "application/json"}
    if secret := os.environ.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
    with suppress(OSError):  # a server without this protection answers 422
        token = _asked(f"{api_url}/csrf-token?client=persona-ingest-status", headers, timeout_s=timeout_s)
        headers["Prefect-Csrf-Token"] = token["token"]
    return headers


def count(api_url: str, what: str, **filters: Any) -> int | None:
    """Return how many of these a server has that asks for no password; None when it does not say."""
    with suppress(OSError, ValueError, TypeError):
        headers = {"Content-Type": "application/json"}
        return int(_asked(f"{api_url}/{what}/count", headers, body=filters, timeout_s=3))
    return None


def _asked(url: str, headers: dict[str, str], *, body: dict[str, Any] | None = None, timeout_s: float) -> Any:
    import urllib.request

    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310 - the operator's own server
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout_s) as answer:
        return json.loads(answer.read())
