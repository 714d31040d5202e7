"""Source: a repository's documentation at one revision, read by the system's git."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.errors import UsageError
from connectors.media_types import BY_SUFFIX, suffix_of
from connectors.models import Resource, Skipped
from connectors.sources.git_place import place
from connectors.sources.git_repository import Repository
from connectors.web.urls import NOT_CHOSEN, Choice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from connectors.models import Due, Kind
    from connectors.settings import GitSource
    from connectors.sources.git_repository import Blob

MAX_BYTES = 64 * 1024**2
MAX_FILES = 200_000
"""The most files of one revision: a few objects can name a billion."""
MAX_REPOSITORY = 4 * 1024**3
"""The most bytes that a fetch may put on the disk; git itself would take any number."""
_LFS = b"version https://git-lfs.github.com/spec/"


class Git:
    """Every document of a repository, by path; a file's validator is its blob, so changes are exact.

    Args:
        options: ``git`` is ``URL#revision:folder``; ``include`` and ``exclude`` match paths from the folder on.
        known: the validators of the last version of a URI.
        headers: sent to the repository's server, such as an ``Authorization``.
        max_bytes: a larger file is passed over.
        max_files, max_repository: a revision with more files, or a fetch of more bytes, is not read at all.
    """

    kind: Kind = "git"

    def __init__(
        self,
        options: GitSource,
        *,
        known: Callable[[str], Awaitable[Due | None]] | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        max_files: int = MAX_FILES,
        max_repository: int = MAX_REPOSITORY,
    ) -> None:
        self._options = options
        self._known = known
        self._headers = dict(headers or {})
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._max_repository = max_repository
        self._place = place(options.git)
        self._choice = Choice(options.include, options.exclude)

    async def read(self) -> AsyncIterator[Resource | Skipped]:
        """Yield one item a file at the revision.

        Raises:
            UsageError: the repository, the revision or the folder cannot be read.
        """
        if shutil.which("git") is None:
            raise UsageError("To read a repository, install git.")
        scratch = await asyncio.to_thread(tempfile.mkdtemp, prefix="persona-ingest-git-")
        repository = Repository(self._place, Path(scratch), self._headers)
        try:
            commit = await repository.fetched(self._max_repository)
            blobs = await repository.blobs(commit, self._max_files)
            if not blobs:
                raise UsageError(f"{self._options.git}: there is no file in {self._place.folder or 'the repository'}.")
            count = 0
            for blob in blobs:
                item = await self._item(blob, repository, room=count < (self._options.max_pages or len(blobs)))
                count += isinstance(item, Resource)
                yield item
        finally:
            await repository.close()
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)

    async def learn(self, resource: Resource, links: tuple[str, ...]) -> None:
        """Ignore links: a repository is what lies in it."""

    async def _item(self, blob: Blob, repository: Repository, *, room: bool) -> Resource | Skipped:
        uri = self._place.uri(blob.path)
        rule, detail = self._refusal(blob, uri)
        if not rule and not room:
            rule, detail = "max-pages", f"The limit of {self._options.max_pages} documents was reached."
        if rule:
            return Skipped(uri=uri, rule=rule, detail=detail)
        due = await self._known(uri) if self._known else None
        body = None if due and due.etag == blob.sha else await repository.read(blob)
        if body is not None and body.startswith(_LFS):
            return Skipped(uri=uri, rule="git-lfs", detail="The repository holds only a pointer to it.")
        return Resource(
            uri=uri,
            requested_uri=uri,
            media_type=BY_SUFFIX.get(suffix_of(blob.path), ""),
            body=body,
            etag=blob.sha,
        )

    def _refusal(self, blob: Blob, uri: str) -> tuple[str, str]:
        if blob.kind != "file":
            return blob.kind, f"It is a {blob.kind}, which is not followed."
        forms = ("/" + blob.path, "/" + blob.path.removeprefix(self._place.folder).lstrip("/"), uri)
        if rule := self._choice.refusal(*forms):
            return rule, NOT_CHOSEN[rule]
        name = blob.path.rpartition("/")[2]
        if suffix_of(name) not in BY_SUFFIX and not re.fullmatch(r"[A-Z][A-Z_-]+", name):
            return "unsupported", "No pages are made of such files."
        if blob.size > self._max_bytes:
            return "too-large", f"It has {blob.size:,} bytes; the limit is {self._max_bytes:,}."
        return "", ""
