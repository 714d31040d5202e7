"""The process beside a command: it serves Prefect where no server runs, and its flows follow the command's runs."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from flows import local_server

if TYPE_CHECKING:
    from pathlib import Path

STOP_S = 15


@dataclass(slots=True)
class Companion:
    """Prefect for the time of one command, imported once for server and flows; it ends when its input does.

    A temporary server's database stays in the state folder, so that `ui` shows the runs of earlier commands. Making its
    tables takes ten times longer than all else but imports, so an empty database is kept for the next state folder.

    Attributes:
        state: the command's state folder.
        api_url: the server that runs already; empty: this process serves one, and it is set by `start`.
        whole: what it serves is all of Prefect's API, for others than the flows beside it.
    """

    state: Path
    api_url: str = ""
    whole: bool = False
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log_path(self) -> Path:
        """Where its own words go."""
        return local_server.folder_of(self.state) / "companion.log"

    @property
    def hears(self) -> IO[bytes]:
        """Its input: messages as `companion_process` reads them, one a line."""
        assert self._process is not None
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def says(self) -> IO[bytes]:
        """Its output: what it answers, one message a line."""
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout

    def start(self) -> None:
        """Start the process.

        Raises:
            OSError: the state folder cannot be written or the process cannot be started.
        """
        folder = local_server.folder_of(self.state)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        words, kept = [], {k: v for k, v in os.environ.items() if not k.startswith("PERSONA_CLIENT")}
        if not self.api_url:
            port = local_server.free_port()
            self.api_url = f"http://127.0.0.1:{port}/api"
            words = [str(port), *(["whole"] if self.whole else [])]
            kept = {k: v for k, v in kept.items() if not k.startswith("PREFECT") or k.startswith("PREFECT_LOGGING")}
            kept |= local_server.temporary(folder, api_url=self.api_url)
        kept["PREFECT_API_URL"] = self.api_url
        kept |= local_server.without_tls(folder, self.api_url)
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "flows.companion_process", *words],
                env=kept,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    def stop(self, *, at_once: bool = False) -> None:
        """End it, and wait until it is gone.

        Args:
            at_once: it has nothing to write down.
        """
        if self._process is None:
            return
        for pipe in (self.hears, self.says):
            with suppress(OSError):
                pipe.close()
        if at_once:
            self._process.terminate()
        try:
            self._process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
