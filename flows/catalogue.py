"""Which sources of a sources file are meant; shared by the command and the nightly sync."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.errors import UsageError
from connectors.sources.catalogue import load_catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from connectors.settings import AnySource


def chosen(config: Path, names: Sequence[str], *, dry_run: bool, with_places: bool = False) -> list[AnySource]:
    """Return the sources of the file that were asked for, in the file's order.

    Args:
        with_places: a folder or repository that is not there is a mistake of the file.

    Raises:
        UsageError: the file has mistakes, or a name is not in it.
    """
    sources = load_catalogue(config, with_places=with_places)
    known = {source.name for source in sources}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"{config} has no source {unknown[0]!r}; it has {', '.join(sorted(known)) or 'none'}.")
    picked = [source for source in sources if not names or source.name in names]
    return [source.model_copy(update={"dry_run": True}) if dry_run else source for source in picked]
