from __future__ import annotations

import tracemalloc

from connectors.models import Found
from connectors.web.frontier import Frontier, MemoryStore


class Counting(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def add(self, found):
        self.asked += len(found)
        return await super().add(found)


def links(*uris: str) -> list[Found]:
    return [Found(uri=uri, by="link") for uri in uris]


async def test_an_address_is_new_once_and_due_once():
    frontier = Frontier(MemoryStore())
    assert await frontier.add(links("a", "b", "a")) == 2
    assert await frontier.add(links("b", "c")) == 1
    assert [due.uri for due in await frontier.take(10)] == ["a", "b", "c"]
    assert await frontier.take(10) == []
    assert await frontier.counts() == (3, 0)


async def test_the_store_is_not_asked_about_what_the_memory_knows():
    store = Counting()
    frontier = Frontier(store)
    for _ in range(10):
        await frontier.add(links("a", "b"))
    assert store.asked == 2


async def test_asking_what_is_unseen_makes_nothing_seen_and_keeps_what_is_met_again():
    frontier = Frontier(MemoryStore(), remembered=2)
    assert frontier.unseen(["a", "b", "a"]) == ["a", "b", "a"]
    await frontier.add(links("a", "b"))
    for other in "cdefg":
        await frontier.add(links(other))
        assert frontier.unseen(["a"]) == [], "met with every page"
    assert frontier.unseen(["b"]) == ["b"], "met once, long ago"


async def test_what_the_memory_forgot_the_store_still_knows():
    frontier = Frontier(MemoryStore(), remembered=3)
    for n in range(20):
        await frontier.add(links(f"u{n}"))
    assert await frontier.add(links("u0", "u1")) == 0
    assert (await frontier.counts())[0] == 20


async def test_a_million_addresses_do_not_grow_the_memory():
    class Nowhere(MemoryStore):
        async def add(self, found):
            return len(found)

    frontier = Frontier(Nowhere(), remembered=10_000)
    tracemalloc.start()
    for batch in range(1000):
        await frontier.add(links(*[f"http://h/{batch}/{n}" for n in range(100)]))
        if batch == 250:
            before = tracemalloc.get_traced_memory()[0]
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after < before * 1.5
