"""Where a repository, a revision and a folder are, in one line of text: ``URL#revision:folder``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from connectors.errors import UsageError
from connectors.web.urls import redact

_SCHEMES = frozenset({"http", "https", "ssh", "file"})
_SCP_LIKE = re.compile(r"(?:[\w.-]+@)[\w.-]+:(?!//)[\w./~-]+")
_REVISION = re.compile(r"(?!-)(?!.*\.\.)[\w./@+-]{1,200}")
_VIEWS = {"github.com": "/blob/HEAD/", "gitlab.com": "/-/blob/HEAD/", "codeberg.org": "/src/HEAD/"}


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


def check_address(text: str, *, there: bool) -> None:
    """Look at ``URL#revision:folder`` without reading from it.

    Args:
        there: a repository on this machine must be there now.

    Raises:
        UsageError: it is no address that git is let to.
    """
    try:
        place(text)
    except _NotThereError:
        if there:
            raise


class _NotThereError(UsageError):
    """A repository of this machine is not where it is said to be; it may be another day."""


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
    raise _NotThereError(f"There is no repository at {path}.")


def _quoted(path: str) -> str:
    """Return a path as a URI may hold it; its bytes need not be text."""
    return quote(path.encode("utf-8", "surrogateescape"))
