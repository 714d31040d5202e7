"""The durable frontier of one run: what is due outlives a crash, what is taken is only remembered in memory."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from connectors.ledger import visits
from connectors.ledger.pack import unpack_links, uri_hash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.ledger.values import Run
    from connectors.ledger.writer import Writer
    from connectors.models import Due, Found

_MOST_AT_HAND = 512  # more than a crawl has taken and not seen answered


class StoredFrontier:
    """What `connectors.web.frontier` calls a FrontierStore.

    URIs are taken in the order they were found, so what is taken is everything before a visit's number: nothing
    is written for it, and after a crash whatever has no outcome is due again.
    """

    def __init__(self, writer: Writer, run: Run) -> None:
        self._writer = writer
        self._run = run
        self._after = 0
        self._taking = asyncio.Lock()
        self._links: dict[str, bytes] = {}

    async def add(self, found: Sequence[Found]) -> int:
        """Add URIs and say how many are new in this run; known ones are ignored."""
        fresh: dict[int, Found] = {}
        for item in found:
            fresh.setdefault(uri_hash(item.uri), item)
        if not fresh:
            return 0
        function = partial(visits.add, run=self._run.id, found=fresh)
        return await self._writer.write(function, source=self._run.source_id)

    async def take(self, limit: int) -> list[Due]:
        """Return up to ``limit`` due URIs, the oldest first; they are not due any more."""
        async with self._taking:
            function = partial(visits.take, run=self._run, after=self._after, most=limit)
            due, self._after, links = await self._writer.call(function, source=self._run.source_id)
        self.keep_at_hand(links)
        return due

    def keep_at_hand(self, links: Mapping[str, bytes]) -> None:
        """Remember the packed links of URIs for a while."""
        self._links |= links
        for uri in list(self._links)[: max(0, len(self._links) - _MOST_AT_HAND)]:
            del self._links[uri]

    def links_at_hand(self, uri: str) -> tuple[str, ...] | None:
        """Return the links that a URI had last time, if it was taken lately; None when the ledger is to be asked."""
        packed = self._links.get(uri)
        return None if packed is None else unpack_links(packed)

    async def counts(self) -> tuple[int, int]:
        """Return how many URIs were discovered so far, and how many are still due."""
        return await self._writer.call(partial(visits.tally, run=self._run.id, after=self._after))
