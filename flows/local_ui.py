"""The local Prefect of `persona-ingest ui`: server, deployments, worker; later commands find it by a file."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.errors import FatalError, UsageError
from flows import local_server

if TYPE_CHECKING:
    from collections.abc import Callable

POOL = "persona-ingest"
USUAL_PORT = 4200
STARTUP_S = 180
STOP_S = 15
WORKER_S = 30


def project_file() -> Path:
    """Return `prefect.yaml`: the repository's, else the copy inside the installed package."""
    here = Path(__file__).resolve().parent
    for candidate in (here.parent / "prefect.yaml", here / "prefect.yaml"):
        if candidate.is_file():
            return candidate
    raise FatalError("prefect.yaml is missing beside the package; install persona-ingest again.")


def start(state: Path, *, port: int | None, workers: int) -> dict[str, Any]:
    """Start the server and a worker, and register the deployments; returns what is known of them.

    Raises:
        UsageError: the port is taken.
        FatalError: the server does not start, or the worker ends; the sentence names its log.
    """
    folder = local_server.folder_of(state)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    local_server.has_tables(folder)
    port = _port(port)
    address = f"http://127.0.0.1:{port}"
    settings = _settings(folder, address)
    words = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = _background([sys.executable, "-m", "prefect", *words], folder / "server.log", settings)
    try:
        _wait(server, f"{address}/api", folder / "server.log")
        local_server.keep_empty(folder)
        os.environ.update(settings)
        from flows import registering

        edit = registering.register(project_file())
        words = ["worker", "start", "--pool", POOL, "--name", "local", "--limit", str(workers)]
        settings |= own_temporary_files(folder) | _for_flows(state)
        worker = _background([sys.executable, "-m", "prefect", *words], folder / "worker.log", settings)
        wait_for_worker(worker, folder / "worker.log", lambda: local_server.has_worker(f"{address}/api", POOL))
    except BaseException:
        _end(server.pid, hard=True)
        raise
    known = {
        "api_url": f"{address}/api",
        "ui_url": address,
        "nightly_sync": f"{address}{edit}",
        "schedule": schedule(),
        "pids": [worker.pid, server.pid],
    }
    local_server.remember(state, known)
    return known


def stop(state: Path) -> bool:
    """End the worker, then the server; False when none was running."""
    known = local_server.local_server(state)
    for pid in known.get("pids", ()):
        if _is_ours(int(pid)):
            _end(int(pid))
    local_server.remember(state, None)
    return bool(known)


def _port(asked: int | None) -> int:
    import socket

    for port in (asked or USUAL_PORT, None if asked else 0):
        if port is None:
            break
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise UsageError(f"Port {asked} is taken; choose another --port or leave it out.")


def _settings(folder: Path, address: str) -> dict[str, str]:
    return {
        **local_server.environment(folder, api_url=f"{address}/api"),
        **_ui_files(folder),
        "PREFECT_UI_URL": address,
        "PREFECT_SERVER_UI_API_URL": f"{address}/api",
        # Any web page could speak to a server on this machine: only the UI's own origin may.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": address,
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_WORKER_QUERY_SECONDS": "3",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "connectors,flows",
    }


def _ui_files(folder: Path) -> dict[str, str]:
    """Return where the server copies the UI's files to when somebody else installed it: else there would be no UI."""
    found = importlib.util.find_spec("prefect")
    beside = Path(found.origin).parent / "server" if found and found.origin else folder
    return {} if os.access(beside, os.W_OK) else {"PREFECT_SERVER_UI_STATIC_DIRECTORY": str(folder / "ui")}


def own_temporary_files(folder: Path) -> dict[str, str]:
    """Return where a worker keeps its files: Prefect's share a folder, and fail where it is another user's."""
    shared, own = Path(tempfile.gettempdir()) / "runner_storage", folder / "tmp"
    if not shared.exists() or shared.stat().st_uid == os.getuid():
        return {}
    own.mkdir(mode=0o700, exist_ok=True)
    return {"TMPDIR": str(own)}


def _for_flows(state: Path) -> dict[str, str]:
    return {
        "PERSONA_INGEST_STATE": str(state),
        "PERSONA_INGEST_CONFIG": os.environ.get("PERSONA_INGEST_CONFIG") or str(Path.cwd() / "sources.yaml"),
    }


def _background(command: list[str], log: Path, settings: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(  # noqa: S603 - our own words
            command,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def _wait(server: subprocess.Popen[bytes], api_url: str, log: Path) -> None:
    until = time.monotonic() + STARTUP_S
    while time.monotonic() < until:
        if local_server.is_alive(api_url):
            return
        if server.poll() is not None:
            break
        time.sleep(0.2)
    raise FatalError(f"Prefect's server did not start; its log is {log}.")


def wait_for_worker(worker: subprocess.Popen[bytes], log: Path, has_reported: Callable[[], bool]) -> None:
    """Wait until the worker has reported to the server, for `WORKER_S` at most; a slow one comes later.

    Raises:
        FatalError: it ended instead, so that no scheduled run would begin.
    """
    until = time.monotonic() + WORKER_S
    reported = False
    while time.monotonic() < until and not reported:
        reported = has_reported()  # maybe the one of last time
        with suppress(subprocess.TimeoutExpired):
            code = worker.wait(1)
            raise FatalError(f"The worker ended with {code} soon after its start, so no run would begin; see {log}.")


def worker_lives(known: dict[str, Any]) -> bool:
    """Say whether the worker of a server that was started before is still there."""
    return _is_ours(int(known["pids"][0]))


def schedule() -> str:
    """Return when `prefect.yaml` lets the nightly sync run, in its own time zone: ``0 2 * * * Europe/Berlin``."""
    import yaml

    deployments = yaml.safe_load(project_file().read_text(encoding="utf-8"))["deployments"]
    nightly = next(one for one in deployments if one["name"] == "nightly-sync")["schedules"][0]
    return f"{nightly['cron']} {nightly['timezone']}"


def _is_ours(pid: int) -> bool:
    """Say whether the process is still the one we started, and not a stranger that got its number."""
    with suppress(OSError, subprocess.SubprocessError):
        words = ["ps", "-o", "command=", "-p", str(pid)]
        told = subprocess.run(words, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603 - a number
        return "prefect" in told.stdout
    return False


def _end(pid: int, *, hard: bool = False) -> None:
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL if hard else signal.SIGTERM)
    until = time.monotonic() + STOP_S
    while _is_running(pid) and time.monotonic() < until:
        time.sleep(0.1)
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def _is_running(pid: int) -> bool:
    with suppress(OSError):
        done, _ = os.waitpid(pid, os.WNOHANG)
        if done:
            return False
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
