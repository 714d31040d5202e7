"""Where pages are cleaned: on this machine, or on Dask or Ray through Prefect's task runners."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from connectors.errors import FatalError, UsageError
from connectors.extractors.chunk import clean_chunk

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from connectors.extractors.chunk import Frame
    from connectors.models import Cleaners

    Work = Callable[[Sequence[Frame], str], list[bytes]]

KNOCK_S = 5.0
CONNECT_S = 20.0
IMPORT_S = 300.0
MOST = 256
_EXTRA = {"dask": "prefect_dask", "ray": "prefect_ray"}
_FORMS = "a number of processes, dask://HOST:PORT or ray://HOST:PORT"


def chosen(where: str, *, imported: threading.Event | None = None) -> Callable[[], Cleaners] | None:
    """Return what makes the cleaners that ``--cleaners`` names; None where nothing is named.

    Args:
        where: a number of processes, ``dask://HOST:PORT`` or ``ray://HOST:PORT``; empty: the default.
        imported: is set once Prefect may be imported here; None: it is already.

    Raises:
        UsageError: it is none of these, an extra is not installed, or nobody answers there.
    """
    if not where:
        return None
    if where.isdecimal() and 1 <= int(where) <= MOST:
        return lambda: _processes(int(where))
    kind, address = _address(where)
    if find_spec(_EXTRA[kind]) is None:
        raise UsageError(
            f"--cleaners {where} needs the extra {kind!r}: `uv run --extra {kind} persona-ingest …`, "
            f"or `pip install 'persona-ingest[{kind}]'`."
        )
    _knock(where, address)
    return lambda: _elsewhere(kind, address, imported)


def _address(where: str) -> tuple[str, str]:
    try:
        parts = urlsplit(where)
        known = parts.scheme in _EXTRA and bool(parts.hostname and parts.port) and parts.path in {"", "/"}
    except ValueError:  # a port that is none
        known = False
    if not known:
        raise UsageError(f"--cleaners {where!r} is not {_FORMS}.")
    return parts.scheme, parts.netloc


def _knock(where: str, address: str) -> None:
    """Find out at once, and not in the middle of a run, that nobody is there."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S):
            pass
    except OSError as error:
        why = error.strerror or "no answer"
        raise UsageError(f"--cleaners {where}: nobody answers there ({why}). Is the cluster running?") from error


def _processes(count: int) -> Cleaners:
    from connectors.extractors.pool import CleanerPool

    return CleanerPool(count)


def _elsewhere(kind: str, address: str, imported: threading.Event | None) -> Cleaners:
    from connectors.extractors.elsewhere import Elsewhere

    cluster = Dask(address, imported) if kind == "dask" else Ray(address, imported)
    return Elsewhere(cluster=cluster)


class Dask:
    """A Dask cluster, connected to by Prefect's task runner for it.

    Chunks travel as plain futures of the runner's client, not as task runs: a task run on a worker would need Prefect's
    API and its credentials on every machine that reads what strangers wrote, and Prefect sees stages, never pages.
    """

    def __init__(self, address: str, imported: threading.Event | None = None, work: Work = clean_chunk) -> None:
        self._address = address
        self._imported = imported
        self._work = work
        self._runner: Any = None

    def open(self) -> None:
        """Connect to the scheduler.

        Raises:
            FatalError: it is no Dask scheduler, or none that this version understands.
        """
        _wait_for(self._imported)
        from prefect_dask import DaskTaskRunner

        runner = DaskTaskRunner(address=f"tcp://{self._address}", client_kwargs={"timeout": CONNECT_S})
        self._runner = runner.__enter__()
        try:
            assert self._runner.client is not None
        except (OSError, ValueError, TypeError) as error:
            raise FatalError(f"No Dask scheduler that we understand answers at {self._address}: {error}") from error

    def slots(self) -> int:
        """Return the threads of all workers, and as many again, so that none waits for the network."""
        client = self._runner.client
        if client.status != "running":
            raise FatalError(f"The connection to the Dask scheduler at {self._address} is lost.")
        threads: dict[str, int] = client.nthreads()
        return 2 * sum(threads.values())

    def clean(self, frames: Sequence[Frame], version: str) -> list[bytes]:
        """Have a chunk cleaned by some worker; Dask gives it to another one when that one is lost."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        from connectors.extractors.elsewhere import WorkersLostError

        future = self._runner.client.submit(self._work, frames, version, pure=False)
        try:
            answers: list[bytes] = future.result()
        except KilledWorker as error:
            raise WorkersLostError(str(error)) from error
        except CancelledError as error:  # what Dask makes of every future when the scheduler is gone
            raise FatalError(f"The connection to the Dask scheduler at {self._address} is lost.") from error
        return answers

    def close(self) -> None:
        """Disconnect."""
        self._runner.__exit__(None, None, None)


class Ray:
    """A Ray cluster, connected to by Prefect's task runner for it; chunks travel as with `Dask`."""

    def __init__(self, address: str, imported: threading.Event | None = None, work: Work = clean_chunk) -> None:
        self._address = address
        self._imported = imported
        self._work = work
        self._runner: Any = None
        self._remote: Any = None

    def open(self) -> None:
        """Connect to the head node's client port.

        Raises:
            FatalError: it is no Ray head, or none that this version understands.
        """
        _wait_for(self._imported)
        import ray
        from prefect_ray import RayTaskRunner

        try:
            self._runner = RayTaskRunner(address=f"ray://{self._address}").__enter__()
        except (ConnectionError, RuntimeError, ValueError) as error:
            why = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise FatalError(f"No Ray head that we understand answers at {self._address}: {why}") from error
        self._remote = ray.remote(num_cpus=1, max_retries=3)(self._work)

    def slots(self) -> int:
        """Return the processors of all nodes, and as many again, so that none waits for the network."""
        import ray

        return 2 * int(ray.cluster_resources().get("CPU", 0))

    def clean(self, frames: Sequence[Frame], version: str) -> list[bytes]:
        """Have a chunk cleaned by some worker; Ray gives it to another one when that one is lost."""
        import ray
        from ray import exceptions

        from connectors.extractors.elsewhere import WorkersLostError

        lost = (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError)
        try:
            answers: list[bytes] = ray.get(self._remote.remote(frames, version))
        except lost as error:
            raise WorkersLostError(str(error)) from error
        except exceptions.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, FatalError) else FatalError(str(error))) from error
        return answers

    def close(self) -> None:
        """Disconnect."""
        import ray

        ray.shutdown()


def _wait_for(imported: threading.Event | None) -> None:
    # Prefect reads where its server is when it is first imported, so somebody else does that first.
    if imported is not None and not imported.wait(IMPORT_S):
        raise FatalError("Prefect was not imported in time, and with it what connects to the cluster.")
