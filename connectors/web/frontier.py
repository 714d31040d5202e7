"""The frontier: what was found, what is due. Bounded in memory over a store that need not be."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from connectors.models import Due, Found

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

REMEMBERED = 200_000
"""How many addresses one generation of the memory holds; two of them cost about 30 MB when full."""


class FrontierStore(Protocol):
    """Where found addresses wait; the ledger's is durable, `MemoryStore` is not."""

    async def add(self, found: Sequence[Found]) -> int:
        """Keep these; those known in this run are ignored. Return how many are new."""
        ...

    async def take(self, limit: int) -> list[Due]:
        """Return at most so many that are due, oldest first, and mark them taken."""
        ...

    async def counts(self) -> tuple[int, int]:
        """Return how many were discovered so far, and how many are still due."""
        ...


class MemoryStore:
    """A frontier store for previews and tests: it forgets with the process."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._due: deque[Due] = deque()

    async def add(self, found: Sequence[Found]) -> int:
        """Keep these; return how many are new."""
        before = len(self._known)
        for item in found:
            if item.uri not in self._known:
                self._known.add(item.uri)
                self._due.append(Due(uri=item.uri, by=item.by, depth=item.depth, via=item.via))
        return len(self._known) - before

    async def take(self, limit: int) -> list[Due]:
        """Return the oldest that are due."""
        return [self._due.popleft() for _ in range(min(limit, len(self._due)))]

    async def counts(self) -> tuple[int, int]:
        """Return discovered, and due."""
        return len(self._known), len(self._due)


class Frontier:
    """What a crawl adds to and takes from.

    Most links of a page lead where the crawl has been: a memory of hashes answers for those, so that the store is
    asked only about the rest. The memory is two generations of bounded size; what it forgot, the store still knows.

    Args:
        store: what is known in this run, for good.
        remembered: how many addresses a generation holds.
    """

    def __init__(self, store: FrontierStore, *, remembered: int = REMEMBERED) -> None:
        self._store = store
        self._remembered = remembered
        self._young: set[int] = set()
        self._old: set[int] = set()

    def unseen(self, uris: Iterable[str]) -> list[str]:
        """Return those that the memory does not know, in order; those it knows it remembers for longer."""
        young, old = self._young, self._old
        fresh = [uri for uri in uris if hash(uri) not in young]
        if not (old and fresh):
            return fresh
        for key in {hash(uri) for uri in fresh} & old:
            self._remember(key)
        return [uri for uri in fresh if hash(uri) not in old]

    def _remember(self, key: int) -> None:
        if len(self._young) >= self._remembered:
            self._old, self._young = self._young, set()
        self._young.add(key)

    async def add(self, found: Sequence[Found]) -> int:
        """Keep what the memory does not know; return how many of them are new in this run."""
        fresh = set(self.unseen(item.uri for item in found))
        for uri in fresh:
            self._remember(hash(uri))
        wanted = [item for item in found if item.uri in fresh]
        return await self._store.add(wanted) if wanted else 0

    async def take(self, limit: int) -> list[Due]:
        """Return at most so many that are due, oldest first."""
        return await self._store.take(limit)

    async def counts(self) -> tuple[int, int]:
        """Return how many were discovered so far, and how many are still due."""
        return await self._store.counts()
