"""Keeps compiled modules between runs where the environment forbids to write them beside their sources.

With ``PYTHONDONTWRITEBYTECODE`` set (containers often do), every start compiles Prefect and all it brings again: 5 s of
CPU in the command and as much in its server. A cache folder of our own breaks nothing that the variable protects.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path


def keep() -> None:
    """Write compiled modules to the user's cache folder, here and in the processes that we start.

    Does nothing when Python caches them anyway, or when others can write to the folder: they would run code here.
    """
    if not sys.dont_write_bytecode or sys.pycache_prefix:
        return
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "persona-ingest" / f"bytecode-{sys.implementation.cache_tag}"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = folder.stat()
        if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o022:
            return
        sys.dont_write_bytecode = False
        sys.pycache_prefix = str(folder)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder)
