"""Traps: addresses without end that a site makes by itself. Pure decisions; each rule has a name and a default."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, field

from connectors.web import urls

_RANDOM = re.compile(r"[0-9a-f-]{16,}|(?=(?:.*\d){4})[0-9a-z_-]{20,}", re.IGNORECASE)
_SESSION_NAME = re.compile(
    r"(?:php|asp|j|cf)?_?(?:sid|sess|session|sessionid|session_id|sessid|visit|visitid)", re.IGNORECASE
)
# Numbers, white space and the letters of hexadecimal tokens: what differs between the days of a calendar.
_FLEETING = b"0123456789abcdefABCDEF \t\r\n"
_MAX_PATHS = 50_000
_SKETCHED = 64 * 1024
_SKETCHES = 100
_FEW = 2
_MANY_PATHS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TrapLimits:
    """Where a site ends and a trap begins.

    Attributes:
        url_length: characters of an address (`trap-long-url`).
        path_depth: segments of a path (`trap-path-depth`).
        repeats: how often one segment may stand in a path (`trap-repeated-segment`).
        click_depth: links away from the start, for chains that do not end (`trap-click-depth`).
        variants: query variants of one path (`trap-query-variants`).
        faceted_variants: of those with three parameters or more (`trap-query-variants`).
        session_variants: of those with a session's number: a parameter with such a name, or one whose random-looking
            values come with many paths (`trap-session`).
        alike_depth, alike_from, alike: of pages so many links away whose addresses differ in numbers only, after the
            first ``alike_from``, so many in a row that are the same but for numbers and tokens: calendars
            (`trap-same-content`).
        maze_depth, maze_from, maze: the same for a maze, which grows in breadth and never gets deep.
        host_pages: addresses of one host (`trap-host-pages`).
        hosts: hosts of one domain (`trap-hosts`).
    """

    url_length: int = urls.MAX_URL
    path_depth: int = 20
    repeats: int = 2
    click_depth: int = 1_000
    variants: int = 1_000
    faceted_variants: int = 100
    session_variants: int = 20
    alike_depth: int = 20
    alike_from: int = 100
    alike: int = 50
    maze_depth: int = 5
    maze_from: int = 20_000
    maze: int = 1_000
    host_pages: int = 2_000_000
    hosts: int = 1_000


def shape_refusal(uri: str, *, depth: int, limits: TrapLimits) -> str:
    """Return the rule that this address alone breaks; empty when it breaks none."""
    if len(uri) > limits.url_length:
        return "trap-long-url"
    if depth > limits.click_depth:
        return "trap-click-depth"
    segments = [segment for segment in urls.path_of(uri).split("/") if segment]
    if len(segments) > limits.path_depth:
        return "trap-path-depth"
    if len(segments) > limits.repeats and len(set(segments)) < len(segments):
        for segment in set(segments):
            # 2011/11/11 and 1.1.1 are dates and chapters: a number may come once more
            if segments.count(segment) > limits.repeats + segment.isdigit():
                return "trap-repeated-segment"
    return ""


def shape(uri: str) -> str:
    """Return an address with ``#`` for each segment and value that is a number or looks random."""
    path, _, query = uri.partition("?")
    shaped = "/".join("#" if _varies(segment) else segment for segment in urls.path_of(path).split("/"))
    names = "&".join(part.partition("=")[0] + "=#" for part in query.split("&")) if query else ""
    return f"{urls.origin(uri)}{shaped}?{names}"


def _varies(segment: str) -> bool:
    return any(character.isdigit() for character in segment) or bool(_RANDOM.fullmatch(segment))


@dataclass(slots=True)
class _Variants:
    all: int = 0
    faceted: int = 0
    sessions: int = 0
    orders: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Likeness:
    pages: int = 0
    row: int = 0
    sketches: dict[int, None] = field(default_factory=dict)


class Traps:
    """What one crawl has seen of each path and host, in bounded memory.

    An address is asked about once; asking counts it.
    """

    def __init__(self, limits: TrapLimits | None = None) -> None:
        self.limits = limits or TrapLimits()
        self._variants: OrderedDict[str, _Variants] = OrderedDict()
        self._random_names: OrderedDict[str, set[int]] = OrderedDict()
        self._hosts: dict[str, int] = {}
        self._alike: OrderedDict[str, _Likeness] = OrderedDict()
        self._endless: dict[str, int] = {}

    def refusal(self, uri: str, *, depth: int) -> str:
        """Return the rule that makes this address part of a trap; empty when none does."""
        return (
            shape_refusal(uri, depth=depth, limits=self.limits)
            or self._likeness_refusal(uri, depth)
            or self._query_refusal(uri)
            or self._host_refusal(uri)
        )

    def saw(self, uri: str, body: bytes, *, depth: int) -> None:
        """Take note of an HTML page: a calendar's and a maze's are the same but for numbers."""
        limits = self.limits
        if depth <= limits.maze_depth or "#" not in (form := shape(uri)):
            return
        deep = depth > limits.alike_depth
        key = f"{form} deep" if deep else form
        likeness = self._alike.setdefault(key, _Likeness())
        if len(self._alike) > _MAX_PATHS:
            self._alike.popitem(last=False)
        likeness.pages += 1
        if likeness.pages <= (limits.alike_from if deep else limits.maze_from):
            return
        sketch = hash(body[:_SKETCHED].translate(None, _FLEETING))
        likeness.row = likeness.row + 1 if sketch in likeness.sketches else 0  # twelve months make twelve sketches
        likeness.sketches[sketch] = None
        if len(likeness.sketches) > _SKETCHES:
            del likeness.sketches[next(iter(likeness.sketches))]
        if likeness.row >= (limits.alike if deep else limits.maze):
            self._endless[form] = limits.alike_depth if deep else limits.maze_depth

    def _likeness_refusal(self, uri: str, depth: int) -> str:
        if not self._endless or depth <= self.limits.maze_depth:
            return ""
        beyond = self._endless.get(shape(uri))
        return "trap-same-content" if beyond is not None and depth > beyond else ""

    def _query_refusal(self, uri: str) -> str:
        path, question, query = uri.partition("?")
        if not question:
            return ""
        parts = query.split("&")
        seen = self._variants.setdefault(path, _Variants())
        self._variants.move_to_end(path)
        if len(self._variants) > _MAX_PATHS:
            self._variants.popitem(last=False)
        order = hash(tuple(sorted(parts)))
        if order in seen.orders:
            return "trap-query-permutation"
        if len(seen.orders) < self.limits.variants:
            seen.orders.add(order)
        if any(self._is_session(part, path) for part in parts):
            seen.sessions += 1
            if seen.sessions > self.limits.session_variants:
                return "trap-session"
        if len(parts) > _FEW:
            seen.faceted += 1
            if seen.faceted > self.limits.faceted_variants:
                return "trap-query-variants"
        seen.all += 1
        return "trap-query-variants" if seen.all > self.limits.variants else ""

    def _is_session(self, part: str, path: str) -> bool:
        """Say whether a parameter numbers a visit: an id names pages of one path, a session goes along everywhere."""
        name, _, value = part.partition("=")
        if _SESSION_NAME.fullmatch(name):
            return True
        if not _RANDOM.fullmatch(value):
            return False
        paths = self._random_names.setdefault(name, set())
        if len(paths) < _MANY_PATHS:
            paths.add(hash(path))
        if len(self._random_names) > _MAX_PATHS:
            self._random_names.popitem(last=False)
        return len(paths) >= _MANY_PATHS

    def _host_refusal(self, uri: str) -> str:
        host = urls.host_of(uri)
        count = self._hosts.get(host, 0)
        if not count and len(self._hosts) >= self.limits.hosts:
            return "trap-hosts"
        if count >= self.limits.host_pages:
            return "trap-host-pages"
        self._hosts[host] = count + 1
        return ""
