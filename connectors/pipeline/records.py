"""Small JSON files in the state folder: what was done already, written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from connectors.errors import FatalError


def read(path: Path) -> dict[str, Any]:
    """Return a record's object; empty when there is none.

    Raises:
        FatalError: it is there and cannot be read.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise FatalError(f"{path} cannot be read ({error}): move it away to start anew.") from error
    if not isinstance(value, dict):
        raise FatalError(f"{path} is no record of this program: move it away to start anew.")
    return value


def write(path: Path, value: dict[str, Any]) -> None:
    """Replace a record; after a crash it is the old one or the new one.

    Raises:
        FatalError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False, indent=2)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as error:
        raise FatalError(f"{path} cannot be written: {error}.") from error
