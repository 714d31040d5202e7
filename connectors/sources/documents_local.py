"""Source: the documents in a folder of this machine, or a single file."""

from __future__ import annotations

import errno
import os
import stat
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from connectors.errors import UsageError
from connectors.sources.documents_store import Entry, StillChangingError

if TYPE_CHECKING:
    from collections.abc import Iterator

_RACY_NS = 2_000_000_000  # a file written in the very tick it was read in keeps its time stamp: it is hashed again


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """A folder or one file on this machine; links that lead out of the folder are not followed."""

    root: Path

    def entries(self) -> Iterator[Entry]:
        """List what is there, depth first, by name."""
        root = self.root.resolve()
        try:
            mode = root.stat().st_mode
            if stat.S_ISDIR(mode):
                os.scandir(root).close()
        except OSError as error:
            raise UsageError(
                f"The documents at {self.root} cannot be read ({error.strerror}): name a folder or file that exists."
            ) from error
        if not stat.S_ISDIR(mode):
            yield _entry(root, root.parent, name=root.name)
            return
        yield from self._below(root, root)

    def _below(self, folder: Path, root: Path) -> Iterator[Entry]:
        try:
            with os.scandir(folder) as found:
                items = sorted((item for item in found if not item.name.startswith(".")), key=lambda item: item.name)
        except OSError as error:
            rule = ("unreadable-folder", f"The folder cannot be listed: {error.strerror}.")
            yield Entry(path=_below_root(folder, root), uri=folder.as_uri() + "/", size=0, stamp="", refused=rule)
            return
        for item in items:
            path = Path(item.path)
            if item.is_dir(follow_symlinks=False):
                yield from self._below(path, root)
            else:
                yield _entry(path, root, name=_below_root(path, root))

    def read(self, entry: Entry) -> tuple[bytes, Entry]:
        """Read a file; its entry is made anew from the open file."""
        path = Path(unquote(urlsplit(entry.uri).path, errors="surrogateescape"))
        handle = os.open(path.resolve(strict=True), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            self._must_be_ours(handle)
            before = _stamp(os.fstat(handle))
            body = file.read(os.fstat(handle).st_size + 1)
            after = os.fstat(handle)
        if before != _stamp(after) or len(body) != after.st_size:
            raise StillChangingError
        return body, _described(entry.path, entry.uri, path.stat())

    def _must_be_ours(self, handle: int) -> None:
        """What was listed may be something else by now: whoever writes to the folder could have swapped it.

        Raises:
            OSError: the open file is none of the folder's.
        """
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file any more")
        root = self.root.resolve()
        opened = Path(f"/proc/self/fd/{handle}")
        if opened.exists() and not opened.resolve().is_relative_to(root):
            raise OSError(errno.ELOOP, "it has become a link that leads out of the folder")


def _entry(path: Path, root: Path, *, name: str) -> Entry:
    uri = path.as_uri()
    try:
        target = path.resolve(strict=True)
        status = target.stat()
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or "a loop of links"
        return Entry(path=name, uri=uri, size=0, stamp="", refused=("unreadable", f"It cannot be read: {why}."))
    if not target.is_relative_to(root):
        outside = ("symlink-outside", "It is a link that leads out of the folder.")
        return Entry(path=name, uri=uri, size=0, stamp="", refused=outside)
    if not stat.S_ISREG(status.st_mode):
        return Entry(path=name, uri=uri, size=0, stamp="", refused=("not-a-file", "It is no regular file."))
    return _described(name, uri, status)


def _described(name: str, uri: str, status: os.stat_result) -> Entry:
    modified = datetime.fromtimestamp(int(status.st_mtime), tz=UTC).isoformat()
    return Entry(path=name, uri=uri, size=status.st_size, stamp=_stamp(status), modified=modified)


def _stamp(status: os.stat_result) -> str:
    racy = "~" if time.time_ns() - status.st_mtime_ns < _RACY_NS else ""
    return f"{status.st_size}-{status.st_mtime_ns}{racy}"


def _below_root(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
