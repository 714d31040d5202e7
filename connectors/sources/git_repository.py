"""The objects of one revision, read by the system's git, which nothing in a repository may redirect or make run."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from connectors.errors import UsageError
from connectors.web.urls import redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Mapping
    from pathlib import Path

    from connectors.sources.git_place import Place

FETCH_S = 900.0
READ_S = 120.0
_WATCH_S = 0.5
_ENTRY = re.compile(rb"(\d+) (\w+) ([0-9a-f]{40,64}) +(\d+|-)\t(.+)", re.DOTALL)

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
class Blob:
    """A file of the revision; ``kind`` tells symbolic links and submodules from files."""

    path: str
    sha: str
    size: int
    kind: str


class Repository:
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

    async def blobs(self, commit: str, max_files: int) -> list[Blob]:
        """List the files of a commit below the folder, by path; what begins with a dot is left out."""
        folder = self._where.folder
        tree = f"{commit}:{folder}" if folder else commit
        process = await self._started("ls-tree", "-r", "-z", "-l", "--full-tree", tree)
        found: list[Blob] = []
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

    async def read(self, blob: Blob) -> bytes:
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


def _blob(entry: bytes, folder: str) -> Blob:
    found = _ENTRY.fullmatch(entry)
    if found is None:
        raise UsageError("git lists the repository in a form that is not known.")
    mode, kind, sha, size, raw = found.groups()
    path = raw.decode("utf-8", "surrogateescape")
    named = {b"120000": "symlink", b"160000": "submodule"}.get(mode, "file" if kind == b"blob" else kind.decode())
    whole = f"{folder}/{path}" if folder else path
    return Blob(path=whole, sha=sha.decode(), size=0 if size == b"-" else int(size), kind=named)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End git and whatever it started."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
