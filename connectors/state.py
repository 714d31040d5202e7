"""Where the ledger and the embedded knowledge base live: no pydantic, so that who only looks starts at once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PREFIX = "PERSONA_INGEST_"


def from_environment(prefix: str, names: Iterable[str]) -> dict[str, str]:
    """Return what the environment says of these settings; an empty variable says nothing."""
    told = {name: os.environ.get(f"{prefix}{name.upper()}", "") for name in names}
    return {name: value for name, value in told.items() if value}


def _told(name: str) -> str | None:
    return from_environment(_PREFIX, [name]).get(name)


def _folder() -> Path | None:
    told = _told("state")
    return Path(told) if told else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSettings:
    """Where the state is, and who cleans; what is not given is read from the variables ``PERSONA_INGEST_*``.

    Attributes:
        state: the folder; None: the platform's user-data folder.
        ledger: the ledger's URL; None: SQLite in the folder.
        cleaners: where pages are cleaned: a number of processes of this machine, ``dask://HOST:PORT`` or
            ``ray://HOST:PORT``; empty: a process a core.
    """

    state: Path | None = field(default_factory=_folder)
    ledger: str | None = field(default_factory=partial(_told, "ledger"))
    cleaners: str = field(default_factory=lambda: _told("cleaners") or "")

    def folder(self) -> Path:
        """Return the state folder: what was set, else the platform's user-data folder."""
        if self.state is not None:
            return self.state.expanduser()
        import platformdirs

        return Path(platformdirs.user_data_dir("persona-ingest", appauthor=False))

    def ledger_url(self) -> str:
        """Return the ledger's URL: what was set, else SQLite in the state folder."""
        return self.ledger or f"sqlite:///{self.folder() / 'ledger.sqlite3'}"
