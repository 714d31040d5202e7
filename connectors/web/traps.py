"""Traps: addresses without end that a site makes by itself. Pure decisions; each rule has a name and a default."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, field

from connectors.web import urls

_RANDOM = re.compile(r"(?=.*\d)(?=.*[a-z])[a-z0-9_-]{8,}|[0-9a-f]{16,}|\d{9,}", re.IGNORECASE)
_TAGS_AND_DIGITS = re.compile(rb"<script.*?</script>|<[^>]*>|[\d\s]+", re.IGNORECASE | re.DOTALL)
_MAX_PATHS = 50_000
_SKETCHED = 64 * 1024
_SKETCHES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TrapLimits:
    """Where a site ends and a trap begins.

    Attributes:
        url_length: characters of an address (`trap-long-url`).
        path_depth: segments of a path (`trap-path-depth`).
        repeats: how often one segment may stand in a path (`trap-repeated-segment`).
        click_depth: links away from the start, for chains such as calendars (`trap-click-depth`).
        variants: query variants of one path (`trap-query-variants`).
        faceted_variants: of those with three parameters or more (`trap-query-variants`).
        random_variants: of those with a random-looking value: sessions (`trap-session`).
        alike_from, alike: of addresses that differ in numbers and random names only, after the first ``alike_from``,
            so many pages in a row whose text is the same but for its digits (`trap-same-content`).
        host_pages: addresses of one host (`trap-host-pages`).
        hosts: hosts of one domain (`trap-hosts`).
    """

    url_length: int = urls.MAX_URL
    path_depth: int = 20
    repeats: int = 2
    click_depth: int = 200
    variants: int = 1_000
    faceted_variants: int = 100
    random_variants: int = 20
    alike_from: int = 100
    alike: int = 50
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
        self._variants: OrderedDict[str, list[int]] = OrderedDict()
        self._hosts: dict[str, int] = {}
        self._alike: OrderedDict[str, _Likeness] = OrderedDict()

    def refusal(self, uri: str, *, depth: int) -> str:
        """Return the rule that makes this address part of a trap; empty when none does."""
        return (
            shape_refusal(uri, depth=depth, limits=self.limits)
            or self._likeness_refusal(uri)
            or self._query_refusal(uri)
            or self._host_refusal(uri)
        )

    def saw(self, uri: str, body: bytes) -> None:
        """Take note of an HTML page: a calendar's and a maze's are the same but for numbers."""
        form = shape(uri)
        if "#" not in form:
            return
        likeness = self._alike.setdefault(form, _Likeness())
        if len(self._alike) > _MAX_PATHS:
            self._alike.popitem(last=False)
        likeness.pages += 1
        if likeness.pages <= self.limits.alike_from:
            return
        sketch = hash(_TAGS_AND_DIGITS.sub(b"", body[:_SKETCHED]))
        likeness.row = likeness.row + 1 if sketch in likeness.sketches else 0  # twelve months make twelve sketches
        likeness.sketches[sketch] = None
        if len(likeness.sketches) > _SKETCHES:
            del likeness.sketches[next(iter(likeness.sketches))]

    def _likeness_refusal(self, uri: str) -> str:
        if not self._alike:
            return ""
        likeness = self._alike.get(shape(uri))
        return "trap-same-content" if likeness is not None and likeness.row >= self.limits.alike else ""

    def _query_refusal(self, uri: str) -> str:
        path, question, query = uri.partition("?")
        if not question:
            return ""
        parts = query.split("&")
        seen = self._variants.setdefault(path, [0, 0, 0])
        self._variants.move_to_end(path)
        if len(self._variants) > _MAX_PATHS:
            self._variants.popitem(last=False)
        if any(_RANDOM.fullmatch(part.partition("=")[2]) for part in parts):
            seen[0] += 1
            if seen[0] > self.limits.random_variants:
                return "trap-session"
        if len(parts) > 2:  # noqa: PLR2004
            seen[1] += 1
            if seen[1] > self.limits.faceted_variants:
                return "trap-query-variants"
        seen[2] += 1
        return "trap-query-variants" if seen[2] > self.limits.variants else ""

    def _host_refusal(self, uri: str) -> str:
        host = urls.host_of(uri)
        count = self._hosts.get(host, 0)
        if not count and len(self._hosts) >= self.limits.hosts:
            return "trap-hosts"
        if count >= self.limits.host_pages:
            return "trap-host-pages"
        self._hosts[host] = count + 1
        return ""
