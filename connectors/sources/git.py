"""Source: a repository's documentation at one revision, read by the system's git."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import shutil
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from connectors.errors import UsageError
from connectors.media_types import BY_SUFFIX, suffix_of
from connectors.models import Resource, Skipped
from connectors.web.urls import compile_glob, redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping

    from connectors.models import Due, Kind
    from connectors.settings import GitSource

MAX_BYTES = 64 * 1024**2
MAX_FILES = 200_000
"""The most files of one revision: a few objects can name a billion."""
MAX_REPOSITORY = 4 * 1024**3
"""The most bytes that a fetch may put on the disk; git itself would take any number."""
FETCH_S = 900.0
READ_S = 120.0
_WATCH_S = 0.5
_SCHEMES = frozenset({"http", "https", "ssh", "file"})
_SCP_LIKE = re.compile(r"(?:[\w.-]+@)[\w.-]+:(?!//)[\w./~-]+")
_REVISION = re.compile(r"(?!-)(?!.*\.\.)[\w./@+-]{1,200}")
_ENTRY = re.compile(rb"(\d+) (\w+) ([0-9a-f]{40,64}) +(\d+|-)\t(.+)", re.DOTALL)
_LFS = b"version https://git-lfs.github.com/spec/"
_VIEWS = {"github.com": "/blob/HEAD/", "gitlab.com": "/-/blob/HEAD/", "codeberg.org": "/src/HEAD/"}

# Nothing that lies in a repository or on this machine may run or redirect git: no hooks, filters, helpers, proxies,
# prompts or protocols but these; a redirect could lead into the network that only the operator may name.
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.sshCommand": "ssh -oBatchMode=yes -oClearAllForwardings=yes",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "fetch.fsckObjects": "true",
    "gc.auto": "0",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "http.proxy": "",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "protocol.ext.allow": "never",
    "protocol.file.allow": "always",
    "protocol.http.allow": "always",
    "protocol.https.allow": "always",
    "protocol.ssh.allow": "always",
    "submodule.recurse": "false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What ``URL#revision:folder`` names; ``local`` is set for a repository on this machine."""

    url: str
    revision: str
    folder: str
    local: Path | None = None

    def uri(self, path: str) -> str:
        """Return the identity of a file: the same at every revision, and a link where its host shows files."""
        parts = urlsplit(self.url)
        view = _VIEWS.get(parts.hostname or "")
        if view and parts.scheme in {"http", "https"}:
            return f"https://{parts.hostname}{parts.path.removesuffix('.git').rstrip('/')}{view}{_quoted(path)}"
        shown = self.local.as_uri() if self.local else redact(self.url)
        return f"{shown}#path={_quoted(path)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blob:
    path: str
    sha: str
    size: int
    kind: str


def _quoted(path: str) -> str:
    """Return a path as a URI may hold it; its bytes need not be text."""
    return quote(path.encode("utf-8", "surrogateescape"))


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
        self._include = tuple(compile_glob(glob) for glob in options.include)
        self._exclude = tuple(compile_glob(glob) for glob in options.exclude)

    async def read(self) -> AsyncIterator[Resource | Skipped]:
        """Yield one item a file at the revision.

        Raises:
            UsageError: the repository, the revision or the folder cannot be read.
        """
        if shutil.which("git") is None:
            raise UsageError("To read a repository, install git.")
        scratch = await asyncio.to_thread(tempfile.mkdtemp, prefix="persona-ingest-git-")
        repository = _Repository(self._place, Path(scratch), self._headers)
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

    async def _item(self, blob: _Blob, repository: _Repository, *, room: bool) -> Resource | Skipped:
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

    def _refusal(self, blob: _Blob, uri: str) -> tuple[str, str]:
        if blob.kind != "file":
            return blob.kind, f"It is a {blob.kind}, which is not followed."
        forms = ("/" + blob.path, "/" + blob.path.removeprefix(self._place.folder).lstrip("/"), uri)
        if any(glob.fullmatch(form) for glob in self._exclude for form in forms):
            return "excluded", "A glob of 'exclude' matches it."
        if self._include and not any(glob.fullmatch(form) for glob in self._include for form in forms):
            return "not-included", "No glob of 'include' matches it."
        name = blob.path.rpartition("/")[2]
        if suffix_of(name) not in BY_SUFFIX and not re.fullmatch(r"[A-Z][A-Z_-]+", name):
            return "unsupported", "No pages are made of such files."
        if blob.size > self._max_bytes:
            return "too-large", f"It has {blob.size:,} bytes; the limit is {self._max_bytes:,}."
        return "", ""


def place(text: str) -> Place:
    """Read ``URL#revision:folder``; revision and folder may be left out.

    Raises:
        UsageError: it is no address that git is let to.
    """
    address, _, rest = text.partition("#")
    revision, _, folder = rest.partition(":")
    folder = folder.strip("/")
    if revision and not _REVISION.fullmatch(revision):
        raise UsageError(f"{revision!r} is no revision: write a branch, tag or commit, like '#main:docs'.")
    if address.startswith("-") or ".." in folder.split("/") or "\0" in text:
        raise UsageError(f"{text!r} is no repository: write URL#revision:folder.")
    scheme = urlsplit(address).scheme.lower() if "://" in address else ""
    if scheme == "file" or (not scheme and not _SCP_LIKE.fullmatch(address)):
        return Place(url="", revision=revision or "HEAD", folder=folder, local=_local(address, scheme))
    if scheme and scheme not in _SCHEMES:
        raise UsageError(f"{redact(address)} cannot be read: write https://, ssh:// or a path.")
    if scheme and not urlsplit(address).hostname:
        raise UsageError(f"{redact(address)} names no host.")
    return Place(url=address, revision=revision or "HEAD", folder=folder)


def _local(address: str, scheme: str) -> Path:
    if "::" in address:
        raise UsageError(f"{address!r} is no repository: write https://, ssh:// or a path.")
    path = Path(unquote(urlsplit(address).path) if scheme else address).expanduser().resolve()
    for candidate in (path / ".git", path):
        if (candidate / "HEAD").is_file():
            return candidate if candidate.name != ".git" else path
    if (path / ".git").is_file():  # a work tree of another repository
        return path
    raise UsageError(f"There is no repository at {path}.")


class _Repository:
    """The objects of one revision: the local repository's own, or fetched into a bare one that is thrown away."""

    def __init__(self, where: Place, scratch: Path, headers: Mapping[str, str]) -> None:
        self._where = where
        self._scratch = scratch
        self._headers = dict(headers)
        self._reader: asyncio.subprocess.Process | None = None

    async def fetched(self, max_bytes: int) -> str:
        """Return the commit that the revision names, its objects at hand: ``max_bytes`` of them at most."""
        where = self._where
        if where.local is None:
            await self._git("init", "--quiet", "--bare", ".")
            await self._watched(self._fetch(), max_bytes)
            name = "FETCH_HEAD"
        else:
            name = where.revision
        try:
            told = await self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        except UsageError:
            raise UsageError(f"There is no revision {where.revision!r} in the repository.") from None
        return told.decode().strip()

    async def _fetch(self) -> None:
        url = self._without_secret(self._where.url)
        options = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-commit-graph")
        try:
            await self._git(*options, "--depth=1", "--", url, self._where.revision, timeout_s=FETCH_S)
        except UsageError:
            if not re.fullmatch(r"[0-9a-f]{7,64}", self._where.revision):
                raise
            # Not every server gives a commit by its name: fetch the branches and look there.
            await self._git(*options, "--", url, "+refs/heads/*:refs/heads/*", timeout_s=FETCH_S)
            told = await self._git("rev-parse", "--verify", "--quiet", f"{self._where.revision}^{{commit}}")
            (self._scratch / "FETCH_HEAD").write_bytes(told)

    async def _watched(self, fetch: Coroutine[None, None, None], max_bytes: int) -> None:
        fetching = asyncio.ensure_future(fetch)
        try:
            while not fetching.done():
                await asyncio.wait({fetching}, timeout=_WATCH_S)
                if await asyncio.to_thread(_size_of, self._scratch) > max_bytes:
                    raise UsageError(f"The repository {self._shown()} is larger than {max_bytes:,} bytes.")
            fetching.result()
        finally:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)

    def _without_secret(self, url: str) -> str:
        """Move a name and password from the address, which every user of the machine sees, to a header."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or "@" not in parts.netloc:
            return url
        secret, _, host = parts.netloc.rpartition("@")
        self._headers["Authorization"] = "Basic " + base64.b64encode(unquote(secret).encode()).decode()
        return urlunsplit(parts._replace(netloc=host))

    async def blobs(self, commit: str, max_files: int) -> list[_Blob]:
        """List the files of a commit below the folder, by path; what begins with a dot is left out."""
        folder = self._where.folder
        tree = f"{commit}:{folder}" if folder else commit
        process = await self._started("ls-tree", "-r", "-z", "-l", "--full-tree", tree)
        found: list[_Blob] = []
        try:
            async with asyncio.timeout(READ_S):
                async for entry in _entries(process):
                    found.append(_blob(entry, folder))
                    if len(found) > max_files:
                        raise UsageError(f"{self._shown()} has more than {max_files:,} files: name a folder of it.")
                code = await process.wait()
        except TimeoutError:
            raise UsageError(f"git ls-tree did not end within {READ_S:g} s.") from None
        finally:
            await _end(process)
        if code:
            raise UsageError(f"There is no folder {folder!r} at {self._where.revision} in the repository.")
        kept = [blob for blob in found if not any(part.startswith(".") for part in blob.path.split("/"))]
        return sorted(kept, key=lambda blob: blob.path)

    async def read(self, blob: _Blob) -> bytes:
        """Return a file's bytes."""
        if self._reader is None:
            self._reader = await self._started("cat-file", "--batch")
        assert self._reader.stdin
        assert self._reader.stdout
        self._reader.stdin.write(blob.sha.encode() + b"\n")
        async with asyncio.timeout(READ_S):
            head = await self._reader.stdout.readline()
            if head.split()[1:2] != [b"blob"]:
                raise UsageError(f"The repository is damaged: it has no {blob.path}.")
            body = await self._reader.stdout.readexactly(int(head.split()[2]) + 1)
        return body[:-1]

    async def close(self) -> None:
        """End git."""
        if self._reader is not None:
            await _end(self._reader)

    async def _git(self, *arguments: str, timeout_s: float = READ_S) -> bytes:
        process = await self._started(*arguments)
        try:
            async with asyncio.timeout(timeout_s):
                out, err = await process.communicate()
        except TimeoutError:
            raise UsageError(f"git {arguments[0]} did not end within {timeout_s:g} s.") from None
        finally:
            await _end(process)
        if process.returncode:
            raise UsageError(f"The repository {self._shown()} cannot be read: {self._reason(err)}")
        return out

    def _shown(self) -> str:
        return str(self._where.local or redact(self._where.url))

    def _reason(self, err: bytes) -> str:
        said = "".join(char if char.isprintable() else " " for char in err.decode("utf-8", "replace"))
        told = " ".join(said.split())[:300] or "git says no more"
        for secret in self._headers.values():
            told = told.replace(secret, "***")
        return re.sub(r"(\w+://)[^/\s@]+@", r"\1", told)

    async def _started(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            "git",
            "--no-pager",
            *arguments,
            cwd=self._where.local or self._scratch,
            env=self._environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    def _environment(self) -> dict[str, str]:
        local = self._where.local
        settings = [*_SETTINGS.items(), *(("http.extraHeader", f"{k}: {v}") for k, v in self._headers.items())]
        kept = {name: os.environ[name] for name in ("PATH", "SSH_AUTH_SOCK", "LANG") if name in os.environ}
        own = {
            "HOME": str(self._scratch),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "false",
            "SSH_ASKPASS": "false",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_ALLOW_PROTOCOL": "" if local else "http:https:ssh",
            "GIT_CONFIG_COUNT": str(len(settings)),
        }
        if local:
            own["GIT_DIR"] = str(local / ".git" if (local / ".git").exists() else local)
        for place_, (key, value) in enumerate(settings):
            own |= {f"GIT_CONFIG_KEY_{place_}": key, f"GIT_CONFIG_VALUE_{place_}": value}
        return kept | own


async def _entries(process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    """Yield what ends in a zero byte, as it comes."""
    assert process.stdout
    rest = b""
    while piece := await process.stdout.read(1 << 16):
        *whole, rest = (rest + piece).split(b"\0")
        for entry in whole:
            yield entry


def _size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder, whatever comes and goes in it meanwhile."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118 - thousands of them
    return total


def _blob(entry: bytes, folder: str) -> _Blob:
    found = _ENTRY.fullmatch(entry)
    if found is None:
        raise UsageError("git lists the repository in a form that is not known.")
    mode, kind, sha, size, raw = found.groups()
    path = raw.decode("utf-8", "surrogateescape")
    named = {b"120000": "symlink", b"160000": "submodule"}.get(mode, "file" if kind == b"blob" else kind.decode())
    whole = f"{folder}/{path}" if folder else path
    return _Blob(path=whole, sha=sha.decode(), size=0 if size == b"-" else int(size), kind=named)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End git and whatever it started."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
