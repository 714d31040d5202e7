"""URLs, decided by one parser: normal form, scope, globs, and what may be shown. Pure."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

import ada_url

from connectors.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

ScopeMode = Literal["path", "host", "domain"]

MAX_URL = 4096
"""Longer ones are no addresses of pages; servers refuse them at 8 kB at the latest."""

# Names that say who sent a visitor or which visit this is, and never which page is shown. A name that could be a
# page's own parameter somewhere (`ref`, `source`, `id`) is not in the list.
_TRACKING = re.compile(
    r"(?:utm_[a-z_]+|gclid|gclsrc|gbraid|wbraid|dclid|fbclid|msclkid|yclid|twclid|ttclid|li_fat_id|igshid|mc_eid|mc_cid"
    r"|_hsenc|_hsmi|__hstc|__hssc|__hsfp|hsctatracking|_gl|_ga|mkt_tok|vero_id|oly_enc_id|oly_anon_id|wickedid|s_cid"
    r"|phpsessid|jsessionid|aspsessionid[a-z]*|cfid|cftoken)",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"((?:\.\./)*)((?:[A-Za-z0-9_-][A-Za-z0-9_.-]*/)*[A-Za-z0-9_-][A-Za-z0-9_.-]*)(?:#[^\r\n]*)?")
_SESSION_PATH = re.compile(r";jsessionid=[^/?;]*", re.IGNORECASE)
_SECRET_NAME = re.compile(
    r"token|secret|passw|pwd|signature|credential|api[_-]?key|access[_-]?key|auth|session|^(?:sig|key|code|sid|x-amz-.*)$",
    re.IGNORECASE,
)
# Narrower: a start page is known without these, so what may tell two pages apart (``key``, ``code``) is not here.
_TOKEN_NAME = re.compile(
    r"token|secret|passw|pwd|credential|api[_-]?key|access[_-]?key|^(?:sig|signature|x-amz-.*)$", re.IGNORECASE
)
_REDACTED = "***"


def normalise(url: str, base: str = "", *, keep_tracking: bool = False) -> str:
    """Return the one form under which a page is known, or ``""`` when ``url`` is no http(s) URL.

    That is what the WHATWG parser makes of it, without fragment and userinfo, and without parameters that only track
    a visitor.

    Args:
        url: as written in a page, a sitemap or by a user; relative where ``base`` is given.
        base: an absolute URL that ``url`` is relative to.
        keep_tracking: for a URL that is not a page's.

    Source: WHATWG URL standard.
    """
    if base and (plain := _PLAIN.fullmatch(url)) is not None and (folder := _folder(base, plain[1].count("/"))):
        return folder + plain[2]  # most links of a page: no parser is needed to see what they mean
    try:
        href = ada_url.join_url(base, url) if base else ada_url.normalize_url(url)
    except ValueError:
        return ""
    if not href.startswith(("http://", "https://")):
        return ""
    cut = href.find("#")
    if cut >= 0:
        href = href[:cut]
    if "@" in href and "@" in href.split("/", 3)[2]:
        href = ada_url.replace_url(href, username="", password="")
    if "xn--" in href and not _labels_decode(href):
        return ""
    return href if keep_tracking else _without_tracking(href)


def _labels_decode(href: str) -> bool:
    """Say whether every coded label of the host stands for a name; the parser lets some pass that stand for none."""
    labels = [label for label in host_of(href).split(".") if label.startswith("xn--")]
    return not any(ada_url.idna_to_unicode(label).startswith("xn--") for label in labels)


@functools.lru_cache(maxsize=256)
def _folder(base: str, up: int) -> str:
    """Return the folder that is so many levels above the base URL's own; empty when there is no such URL."""
    form = normalise(base, keep_tracking=True)
    if not form:
        return ""
    folder = folder_of(form)
    for _ in range(up):
        folder = folder[: folder.rfind("/", 0, len(folder) - 1) + 1] or "/"
    return origin(form) + folder


def _without_tracking(href: str) -> str:
    if ";" in href:
        href = _SESSION_PATH.sub("", href)
    if "?" not in href:
        return href
    path, _, query = href.partition("?")
    parts = query.split("&")
    kept = [part for part in parts if not _TRACKING.fullmatch(part.partition("=")[0])]
    if len(kept) == len(parts):
        return href
    return f"{path}?{'&'.join(kept)}" if kept else path


def origin(url: str) -> str:
    """Return scheme, host and port (``http://host:8080``, no default port) of a URL in normal form."""
    end = url.find("/", 8)
    return url if end < 0 else url[:end]


def host_of(url: str) -> str:
    """Return the host without port of a URL in normal form; an IPv6 address keeps its brackets."""
    host = origin(url).partition("://")[2]
    head, colon, port = host.rpartition(":")
    return head if colon and port.isdigit() else host


def path_of(url: str) -> str:
    """Return the path (``/`` at least, no query) of a URL in normal form."""
    start = url.find("/", 8)
    return "/" if start < 0 else url[start:].partition("?")[0]


def target_of(url: str) -> str:
    """Return path and query of a URL in normal form, as they go on the wire."""
    start = url.find("/", 8)
    return "/" if start < 0 else url[start:]


def folder_of(url: str) -> str:
    """Return the path up to its last slash: ``/docs/intro.html`` gives ``/docs/``."""
    path = path_of(url)
    return path[: path.rfind("/") + 1]


def registrable_domain(host: str) -> str:
    """Return the domain that somebody registered (``a.b.co.uk`` gives ``b.co.uk``); the host itself where none is.

    Suffixes that hosting companies give away (``github.io``) count as suffixes: their customers are strangers.
    """
    import tld

    if found := tld.get_fld(f"http://{host}/", fail_silently=True, search_private=True):
        return found
    labels = host.rstrip(".").split(".")
    if host.startswith("[") or labels[-1].isdigit() or tld.is_tld(host, search_private=True):
        return host
    return ".".join(labels[-2:])  # a suffix that no list knows (``.internal``) counts as one label


def redact(url: str) -> str:
    """Return ``url`` as it may be shown: no userinfo, and ``***`` for the values of token-like parameters."""
    shown = url
    head, separator, rest = shown.partition("://")
    if separator:
        authority, slash, tail = rest.partition("/")
        shown = f"{head}://{authority.rpartition('@')[2]}{slash}{tail}"
    path, question, query = shown.partition("?")
    if not question:
        return shown
    return f"{path}?{'&'.join(_redact_part(part) for part in query.split('&'))}"


def without_tokens(url: str) -> str:
    """Return ``url`` in normal form without the query parameters that look like somebody's key to the site."""
    path, question, query = url.partition("?")
    kept = [part for part in query.split("&") if not _is_token(part)]
    return f"{path}?{'&'.join(kept)}" if question and any(kept) else path if question else url


def _is_token(part: str) -> bool:
    name, _, value = part.partition("=")
    return bool(value and _TOKEN_NAME.search(unquote(name)))


def _redact_part(part: str) -> str:
    name, equals, value = part.partition("=")
    if equals and value and _SECRET_NAME.search(unquote(name)):
        return f"{name}={_REDACTED}"
    return part


def _pattern(glob: str) -> re.Pattern[str]:
    """Return the pattern of one glob; ``*`` and ``**`` match any characters, ``**/`` also no folder at all.

    Raises:
        UsageError: it is empty or its brackets do not close.
    """
    if not glob.strip():
        raise UsageError("An empty glob matches nothing: write one like /docs/** or *.html.")
    text = glob if glob[0] in "/*?[" or "://" in glob else "/" + glob
    parts: list[str] = []
    at = 0
    while at < len(text):
        piece, at = _glob_piece(text, at, glob)
        parts.append(piece)
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error as error:
        raise UsageError(f"The glob {glob!r} is wrong ({error}): write one like /docs/** or *.html.") from error


def _glob_piece(text: str, at: int, glob: str) -> tuple[str, int]:
    if text.startswith("**/", at) and (at == 0 or text[at - 1] == "/"):
        return "(?:.*/)?", at + 3
    if text[at] == "*":
        while at < len(text) and text[at] == "*":
            at += 1
        return ".*", at
    if text[at] == "?":
        return ".", at + 1
    if text[at] != "[":
        return re.escape(text[at]), at + 1
    end = text.find("]", at + (3 if text[at + 1 : at + 2] in {"!", "^"} else 2))
    if end < 0:
        raise UsageError(f"The glob {glob!r} has a '[' that is never closed: close it, or write '[[]' for a bracket.")
    inner = text[at + 1 : end]
    negated = inner[:1] in {"!", "^"}
    body = re.sub(r"([\\\[\]&~|])", r"\\\1", inner[1:] if negated else inner)
    return f"[{'^' if negated else ''}{body}]", end + 1


class Choice:
    """What an operator's globs keep of what a source meets.

    Args:
        include: globs; when there are any, what matches none is refused.
        exclude: globs; what matches one is refused.
    """

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        self._include = tuple(_pattern(glob) for glob in include)
        self._exclude = tuple(_pattern(glob) for glob in exclude)

    def refusal(self, *forms: str) -> str:
        """Return the rule that keeps out what may be written in these forms: a key of `NOT_CHOSEN`; empty for none."""
        if any(glob.fullmatch(form) for glob in self._exclude for form in forms):
            return "excluded"
        if self._include and not any(glob.fullmatch(form) for glob in self._include for form in forms):
            return "not-included"
        return ""

    def refusal_of(self, url: str) -> str:
        """Do `refusal` for a URL in normal form: globs match its path, its path with query, or the whole."""
        if not self._include and not self._exclude:
            return ""
        return self.refusal(*{path_of(url), target_of(url), url})


NOT_CHOSEN = {
    "excluded": "A glob of 'exclude' matches it.",
    "not-included": "No glob of 'include' matches it.",
}
"""One sentence a rule of `Choice`."""


class Scope:
    """Which URLs belong to a site, by where its crawl starts.

    Args:
        start: the start URL in normal form.
        mode: ``path``: the start's origin and folder; ``host``: its host; ``domain``: its registrable domain.
        include, exclude: globs, see `Choice`.
    """

    def __init__(
        self, start: str, mode: ScopeMode = "path", *, include: Iterable[str] = (), exclude: Iterable[str] = ()
    ) -> None:
        self.start = start
        self.mode = mode
        self._choice = Choice(include, exclude)
        self._root = origin(start) + folder_of(start)
        self._host = host_of(start)
        self._domain = registrable_domain(self._host) if mode == "domain" else ""

    def at(self, start: str) -> Scope:
        """Return the same scope around another start: where the first one was redirected to."""
        moved = Scope(start, self.mode)
        moved._choice = self._choice
        return moved

    def contains(self, url: str) -> bool:
        """Say whether a URL in normal form belongs to the site, whatever the globs say."""
        if self.mode == "path":
            return url.startswith(self._root)
        host = host_of(url)
        if self.mode == "host":
            return host == self._host
        return host == self._domain or host.endswith("." + self._domain)

    def within(self, urls: Iterable[str]) -> Iterable[str]:
        """Return those that `contains` says belong to the site."""
        if self.mode == "path":
            root = self._root
            return [url for url in urls if url.startswith(root)]
        return filter(self.contains, urls)

    def refusal(self, uri: str) -> str:
        """Return the rule that keeps a URL out: ``out-of-scope``, ``excluded``, ``not-included``; empty for none."""
        if not self.contains(uri):
            return "out-of-scope"
        return self._choice.refusal_of(uri)
