"""Source: the documents in one folder, a single file, or a folder in a bucket."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import unquote, urlsplit

from connectors.errors import UsageError
from connectors.media_types import BY_SUFFIX, suffix_of
from connectors.models import Due, Hints, Resource, Skipped, sha256_hex
from connectors.web.urls import compile_glob

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from connectors.models import Kind
    from connectors.settings import DocumentsSource

MAX_BYTES = 64 * 1024**2
READS = 3
_RACY_NS = 2_000_000_000  # a file written in the very tick it was read in keeps its time stamp: it is hashed again


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a listing.

    Attributes:
        path: relative to the root, with ``/``: what globs match and what the order is by.
        stamp: what changes when the file does, as far as the listing says.
        refused: the rule it is passed over by before it is read, and the sentence; empty when it is read.
    """

    path: str
    uri: str
    size: int
    stamp: str
    modified: str = ""
    refused: tuple[str, str] = ("", "")


class Store(Protocol):
    """Where files lie: a disk or a bucket."""

    def entries(self) -> Iterator[Entry]:
        """List all files in a stable order."""
        ...

    def read(self, entry: Entry) -> tuple[bytes, Entry]:
        """Return a file's bytes, and its entry as it was when they were read; raises OSError."""
        ...


class Documents:
    """Every document under a folder whose name does not begin with a dot, by path.

    Args:
        options: ``documents`` is a path or an fsspec URL; ``include`` and ``exclude`` match the path below it.
        known: the validators of the last version of a URI.
        max_bytes: a larger file is passed over.
    """

    kind: Kind = "documents"

    def __init__(
        self,
        options: DocumentsSource,
        *,
        known: Callable[[str], Awaitable[Due | None]] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._options = options
        self._known = known
        self._max_bytes = max_bytes
        self._include = tuple(compile_glob(glob) for glob in options.include)
        self._exclude = tuple(compile_glob(glob) for glob in options.exclude)

    async def read(self) -> AsyncIterator[Resource | Skipped]:
        """Yield one item a file.

        Raises:
            UsageError: the folder does not exist or cannot be listed.
        """
        store = await asyncio.to_thread(open_store, self._options.documents)
        entries = store.entries()
        most = self._options.max_pages
        count = 0
        while (entry := await asyncio.to_thread(next, entries, None)) is not None:
            if most is not None and count >= most:
                yield _skipped(entry, "max-pages", f"The limit of {most} documents was reached.")
                continue
            item = await self._item(store, entry)
            count += isinstance(item, Resource)
            yield item

    async def learn(self, resource: Resource, links: tuple[str, ...]) -> None:
        """Ignore links: a folder is what lies in it."""

    async def _item(self, store: Store, entry: Entry) -> Resource | Skipped:
        rule, detail = self._refusal(entry)
        if rule:
            return _skipped(entry, rule, detail, failed=rule in {"unreadable", "unreadable-folder"})
        due = await self._known(entry.uri) if self._known else None
        before = due.etag if due else ""
        if before.rpartition("/")[0] == entry.stamp and not entry.stamp.endswith("~"):
            return _resource(entry, None, before)
        try:
            body, entry = await asyncio.to_thread(_read_settled, store, entry)
        except StillChangingError:
            return _skipped(entry, "changing", f"It changed {READS} times while it was read.", failed=True)
        except OSError as error:
            return _skipped(entry, "unreadable", f"It cannot be read: {error.strerror or error}.", failed=True)
        if len(body) > self._max_bytes:
            return _skipped(entry, *self._too_large(len(body)))
        digest = sha256_hex(body)[:32]
        same = before.rpartition("/")[2] == digest
        return _resource(entry, None if same else body, f"{entry.stamp}/{digest}")

    def _refusal(self, entry: Entry) -> tuple[str, str]:
        if entry.refused[0]:
            return entry.refused
        forms = ("/" + entry.path, entry.uri)
        if any(glob.fullmatch(form) for glob in self._exclude for form in forms):
            return "excluded", "A glob of 'exclude' matches it."
        if self._include and not any(glob.fullmatch(form) for glob in self._include for form in forms):
            return "not-included", "No glob of 'include' matches it."
        suffix = suffix_of(entry.path)
        if suffix and suffix not in BY_SUFFIX:  # without one (README, LICENSE) its bytes will tell
            return "unsupported", f"No pages are made of {suffix} files."
        return self._too_large(entry.size) if entry.size > self._max_bytes else ("", "")

    def _too_large(self, size: int) -> tuple[str, str]:
        return "too-large", f"It has {size:,} bytes; the limit is {self._max_bytes:,}."


def open_store(where: str) -> Store:
    """Return the files at a path or URL.

    Raises:
        UsageError: nothing is there, it may not be read, or its kind of address is not supported.
    """
    scheme = urlsplit(where).scheme if "://" in where else ""
    if scheme in {"", "file"}:
        local = unquote(urlsplit(where).path) if scheme else where
        return LocalFiles(root=Path(local).expanduser())
    from connectors.sources.documents_remote import RemoteFiles

    return RemoteFiles.at(where)


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


class StillChangingError(Exception):
    """The file was written to while it was read."""


def _read_settled(store: Store, entry: Entry) -> tuple[bytes, Entry]:
    """Read a file; one that changes meanwhile is read again."""
    for _ in range(READS):
        with contextlib.suppress(StillChangingError):
            return store.read(entry)
    raise StillChangingError


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


def _resource(entry: Entry, body: bytes | None, etag: str) -> Resource:
    return Resource(
        uri=entry.uri,
        requested_uri=entry.uri,
        media_type=BY_SUFFIX.get(suffix_of(entry.path), ""),
        body=body,
        etag=etag,
        hints=Hints(modified=entry.modified),
    )


def _skipped(entry: Entry, rule: str, detail: str, *, failed: bool = False) -> Skipped:
    outcome: Literal["skipped", "failed"] = "failed" if failed else "skipped"
    return Skipped(uri=entry.uri, rule=rule, outcome=outcome, detail=detail, fault=failed)
