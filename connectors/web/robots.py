"""robots.txt and X-Robots-Tag, read: who may fetch what, and what may be kept. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_ROBOTS_BYTES = 500 * 1024
MAX_CRAWL_DELAY_S = 60.0

_AGENT_LINE = re.compile(r"^([ \t]*user[- ]?agent[ \t]*:[ \t]*)([a-z_-]+)[^\r\n]*", re.IGNORECASE | re.MULTILINE)
_OURS = "\N{SECTION SIGN}ours"  # no product token can be part of it, so protego's looser matching cannot err
_KNOWN_DIRECTIVES = frozenset(
    {"all", "noindex", "nofollow", "none", "noarchive", "nosnippet", "noimageindex", "notranslate", "indexifembedded"}
)
_VALUED_DIRECTIVES = frozenset({"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"})


class _Rules(Protocol):
    def can_fetch(self, url: str, user_agent: str) -> bool: ...
    def crawl_delay(self, user_agent: str) -> float | None: ...


def product_token(user_agent: str) -> str:
    """Return the name that robots.txt knows us by: the user agent's first product, lower case, without its version."""
    found = re.match(r"[A-Za-z_-]+", user_agent.strip())
    return found.group().lower() if found else "persona-ingest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Robots:
    """What one origin's robots.txt says to us.

    Attributes:
        rules: None when ``refusal`` decides alone.
        refusal: the rule that refuses everything, such as ``robots-unreachable``; empty when rules decide.
        crawl_delay_s: what it asks for, at most a minute; None when it asks for nothing.
        sitemaps: as written, in order.
    """

    rules: _Rules | None = None
    refusal: str = ""
    crawl_delay_s: float | None = None
    sitemaps: tuple[str, ...] = ()

    def refuses(self, uri: str) -> str:
        """Return the rule that forbids this URI, ``robots`` or ``robots-unreachable``; empty when it is allowed."""
        if self.refusal:
            return self.refusal
        if self.rules is None or self.rules.can_fetch(uri, _OURS):
            return ""
        return "robots"


ALLOW_ALL = Robots()
UNREACHABLE = Robots(refusal="robots-unreachable")


def parse(body: bytes, *, agent: str) -> Robots:
    """Read a robots.txt.

    Args:
        body: the file; what goes beyond 500 KiB is not read.
        agent: our product token.

    Source: RFC 9309, section 2.
    """
    from protego import Protego

    text = body[:MAX_ROBOTS_BYTES].decode("utf-8", "replace").removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    text = _AGENT_LINE.sub(lambda line: line[1] + (_OURS if line[2].lower() == agent.lower() else line[2]), text)
    rules = Protego.parse(text)
    delay = rules.crawl_delay(_OURS)
    wanted = None if delay is None or delay != delay or delay < 0 else min(float(delay), MAX_CRAWL_DELAY_S)  # noqa: PLR0124
    return Robots(rules=rules, crawl_delay_s=wanted, sitemaps=tuple(dict.fromkeys(rules.sitemaps)))


def after_status(status: int) -> Robots | None:
    """Return what an answer without a readable file means; None when the file is to be parsed.

    Source: RFC 9309, section 2.3.1.
    """
    if 200 <= status < 300:  # noqa: PLR2004
        return None
    if status >= 500 or status in {0, 429}:  # noqa: PLR2004
        return UNREACHABLE
    return ALLOW_ALL


def x_robots(values: Iterable[str], *, agent: str) -> tuple[str, ...]:
    """Return the directives of ``X-Robots-Tag`` headers that concern us, lower case; ``none`` as what it means.

    A value may begin with an agent's name (``otherbot: noindex, nofollow``): it holds until the value's end.
    """
    found: list[str] = []
    for value in values:
        found.extend(_one_header(value, agent.lower()))
    return tuple(dict.fromkeys(found))


def _one_header(value: str, agent: str) -> Sequence[str]:
    ours = True
    found: list[str] = []
    for part in value.lower().split(","):
        name, colon, rest = part.strip().partition(":")
        name = name.strip()
        if colon and name not in _VALUED_DIRECTIVES:
            ours = name in {agent, "*"}
            name = rest.strip()
        if not ours or name not in _KNOWN_DIRECTIVES:
            continue
        found.extend(("noindex", "nofollow") if name == "none" else (name,))
    return found
