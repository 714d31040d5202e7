"""The durable frontier of one run: what is due outlives a crash, what is taken is only remembered in memory."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from connectors.ledger import visits
from connectors.ledger.pack import uri_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.ledger.values import Run
    from connectors.ledger.writer import Writer
    from connectors.models import Due, Found

_MOST_REMEMBERED = 100_000


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
        self._met: set[int] = set()

    async def add(self, found: Sequence[Found]) -> int:
        """Add URIs and say how many are new in this run; known ones are ignored."""
        fresh: dict[int, Found] = {}
        for item in found:
            key = uri_hash(item.uri)
            if key not in self._met:
                fresh.setdefault(key, item)
        if not fresh:
            return 0
        function = partial(visits.add, run=self._run.id, found=fresh)
        added = await self._writer.write(function, source=self._run.source_id)
        if len(self._met) > _MOST_REMEMBERED:
            self._met.clear()  # only a short cut: the table knows them all
        self._met.update(fresh)
        return added

    async def take(self, limit: int) -> list[Due]:
        """Return up to ``limit`` due URIs, the oldest first; they are not due any more."""
        async with self._taking:
            function = partial(visits.take, run=self._run, after=self._after, most=limit)
            due, self._after = await self._writer.call(function, source=self._run.source_id)
            return due

    async def counts(self) -> tuple[int, int]:
        """Return how many URIs were discovered so far, and how many are still due."""
        return await self._writer.call(partial(visits.tally, run=self._run.id, after=self._after))
