"""What the crawl does beside fetching: it asks its store no more than it must, and ends when it is told to."""

from __future__ import annotations

import asyncio
import gc

import pytest
from loopback import Reply

from connectors.models import Found, Resource, Skipped
from connectors.web.crawl import MAX_WAITING, Crawl, Rules
from connectors.web.frontier import Frontier, MemoryStore
from connectors.web.sites import Sites


class Asked(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.takes = 0

    async def take(self, limit):
        self.takes += 1
        return await super().take(limit)


async def crawl_of(site, make_fetcher, store, *paths):
    fetcher = make_fetcher(site.url)
    crawl = Crawl(
        fetcher=fetcher,
        frontier=Frontier(store),
        sites=Sites(fetcher),
        rules=Rules(belongs=lambda _: True, refusal=lambda _: ""),
    )
    await crawl.add([Found(uri=site.url + path, by="start") for path in paths])
    return crawl


async def test_the_store_is_asked_when_something_was_added_and_not_for_each_page(site, make_fetcher):
    paths = [f"/{number}" for number in range(40)]
    for path in paths:
        site.page(path)
    store = Asked()
    crawl = await crawl_of(site, make_fetcher, store, *paths)
    met = 0
    async for item in crawl.items():
        assert isinstance(item, Resource)
        met += 1
        await asyncio.sleep(0.001)
        await crawl.learned(())
    assert met == 40
    assert store.takes <= 4, "the forty, then nothing, and once more at the end"


async def test_what_the_last_page_names_is_crawled_too(site, make_fetcher):
    paths = [f"/{number}" for number in range(10)]
    for path in paths:
        site.page(path)
    crawl = await crawl_of(site, make_fetcher, MemoryStore(), "/0")
    met = []
    async for item in crawl.items():
        met.append(item.uri.removeprefix(site.url))
        await asyncio.sleep(0.01)  # nothing else is under way: the crawl could think that it is done
        following = paths[len(met) : len(met) + 1]
        await crawl.learned([Found(uri=site.url + path, by="link", depth=len(met)) for path in following])
    assert met == paths


async def test_an_address_that_is_added_while_the_store_is_asked_is_not_overlooked(site, make_fetcher):
    class Slow(MemoryStore):
        async def take(self, limit):
            due = await super().take(limit)
            await asyncio.sleep(0.05)
            return due

    site.page("/0")
    site.page("/1")
    crawl = await crawl_of(site, make_fetcher, Slow(), "/0")
    met = []
    async for item in crawl.items():
        met.append(item.uri.removeprefix(site.url))
        if len(met) == 1:
            await asyncio.sleep(0.02)  # the crawl asks the store again, which has nothing yet
            await crawl.learned([Found(uri=f"{site.url}/1", by="link")])
        else:
            await crawl.learned(())
    assert met == ["/0", "/1"]


async def test_a_slow_page_does_not_keep_what_was_added_meanwhile_waiting(site, make_fetcher):
    released = asyncio.Event()

    async def slow(asked):
        await released.wait()
        return Reply("slow")

    site.routes["/slow"] = slow
    site.page("/fast")
    site.page("/next")
    crawl = await crawl_of(site, make_fetcher, MemoryStore(), "/slow", "/fast")
    met = []
    async with asyncio.timeout(10):
        async for item in crawl.items():
            met.append(item.uri.removeprefix(site.url))
            named = [Found(uri=f"{site.url}/next", by="link")] if met == ["/fast"] else []
            await crawl.learned(named)
            if met[-1] == "/next":
                released.set()
    assert met == ["/fast", "/next", "/slow"]


async def test_bodies_that_nobody_takes_are_bounded_by_their_bytes(site, make_fetcher):
    paths = [f"/{number}" for number in range(40)]
    for path in paths:
        site.page(path, title="x" * (MAX_WAITING // 10))
    crawl = await crawl_of(site, make_fetcher, MemoryStore(), *paths)
    items = crawl.items()
    met = [await anext(items)]
    while (asked := len(site.asked)) and not await asyncio.sleep(0.3) and len(site.asked) > asked:
        pass  # it fetches on
    assert asked < 25, "ten of them are as much as may wait, and eight were on their way"
    await crawl.learned(())
    async for item in items:
        met.append(item)
        await crawl.learned(())
    assert sorted(item.uri for item in met) == sorted(site.url + path for path in paths)


class Nowhere:
    url = "http://nowhere.test"


class Silent:
    """A client whose requests are never answered, and which has no socket that somebody would have to close."""

    concurrency = 2
    agent = "x"

    async def fetch(self, uri, **_):
        return Skipped(uri=uri, rule="http-404", status=404)

    async def fetch_once(self, uri, ask):
        await asyncio.Event().wait()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # its loop is closed: that is the point
def test_a_crawl_that_was_dropped_in_the_middle_begins_nothing_when_it_is_thrown_away():
    async def begin():
        crawl = await crawl_of(Nowhere, lambda _: Silent(), MemoryStore(), *[f"/{n}" for n in range(90)])
        first = asyncio.ensure_future(anext(crawl.items()))
        while not crawl._working:  # until it fetches
            await asyncio.sleep(0.01)
        return crawl, first

    loop = asyncio.new_event_loop()
    kept = loop.run_until_complete(begin())
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False
    del task
    loop.close()

    async def look():
        nonlocal kept
        kept = None
        gc.collect()
        return [repr(task.get_coro()) for task in asyncio.all_tasks()]

    assert not [told for told in asyncio.run(look()) if "Crawl." in told]
