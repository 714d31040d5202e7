"""Source: the documents in one folder, a single file, or a folder in a bucket."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from connectors.media_types import BY_SUFFIX, suffix_of
from connectors.models import Due, Hints, Resource, Skipped, sha256_hex
from connectors.sources.documents_local import LocalFiles
from connectors.sources.documents_store import StillChangingError
from connectors.web.urls import NOT_CHOSEN, Choice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from connectors.models import Kind
    from connectors.settings import DocumentsSource
    from connectors.sources.documents_store import Entry, Store

MAX_BYTES = 64 * 1024**2
READS = 3


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
        self._choice = Choice(options.include, options.exclude)

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
        if rule := self._choice.refusal(*forms):
            return rule, NOT_CHOSEN[rule]
        suffix = suffix_of(entry.path)
        if suffix and suffix not in BY_SUFFIX:  # without one (README, LICENSE) its bytes will tell
            return "unsupported", f"No pages are made of {suffix} files."
        return self._too_large(entry.size) if entry.size > self._max_bytes else ("", "")

    def _too_large(self, size: int) -> tuple[str, str]:
        return "too-large", f"It has {size:,} bytes; the limit is {self._max_bytes:,}."


def open_store(where: str) -> Store:
    """Return the files at a path or URL.

    Raises:
        UsageError: its kind of address is not supported, or the extra that reads it is not installed.
    """
    scheme = urlsplit(where).scheme if "://" in where else ""
    if scheme in {"", "file"}:
        return LocalFiles(root=local_path(where))
    from connectors.sources.documents_remote import RemoteFiles

    return RemoteFiles.at(where)


def local_path(where: str) -> Path:
    """Return the path that a path or a ``file://`` URL names."""
    return Path(unquote(urlsplit(where).path) if "://" in where else where).expanduser()


def _read_settled(store: Store, entry: Entry) -> tuple[bytes, Entry]:
    """Read a file; one that changes meanwhile is read again."""
    for _ in range(READS):
        with contextlib.suppress(StillChangingError):
            return store.read(entry)
    raise StillChangingError


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
