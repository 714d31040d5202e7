"""Thirty nights of a site that churns, moves and breaks: the knowledge base follows the rules, and only them."""

import contextlib
import random
from dataclasses import dataclass, field

import pytest

from connectors.errors import UsageError
from connectors.pipeline.run import open_run
from connectors.settings import WebsiteSource

WORDS = ["river", "stone", "cloud", "lamp", "garden", "window", "paper", "copper", "morning", "signal", "harbour"]


def text_of(rng):
    return " ".join(rng.choice(WORDS) for _ in range(60)).capitalize() + "."


@dataclass
class World:
    """The site as it is, and the knowledge base as the rules say it must be."""

    site: object
    rng: random.Random
    live: dict[str, tuple[str, str]] = field(default_factory=dict)
    known: dict[str, tuple[str, str]] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    serial: int = 0

    def add(self, count):
        for _ in range(count):
            self.serial += 1
            self.live[f"/p{self.serial}"] = (f"Page {self.serial} {self.rng.choice(WORDS)}", text_of(self.rng))

    def pick(self, count):
        return self.rng.sample(sorted(self.live), min(count, len(self.live)))

    def change(self, count):
        for path in self.pick(count):
            self.live[path] = (self.live[path][0], text_of(self.rng))

    def remove(self, count):
        for path in self.pick(count):
            del self.live[path]

    def move(self, count):
        """Give pages new addresses; the old ones redirect."""
        for path in self.pick(count):
            self.serial += 1
            to = f"/m{self.serial}"
            self.live[to] = self.live.pop(path)
            self.site.redirects[path] = to

    def publish(self):
        self.site.pages = {}
        self.site.article(
            "/", "All pages", "Everything there is.", {path: title for path, (title, _) in self.live.items()}
        )
        for path, (title, body) in self.live.items():
            self.site.article(path, title, body)

    def learn(self):
        """Carry the rules out on a complete night: new, changed and moved at once, gone after the second without it.

        A page that moved *and* changed cannot be told from one that vanished beside a new one.
        """
        for path in sorted(self.known.keys() - self.live.keys()):
            to = path
            while to in self.site.redirects:
                to = self.site.redirects[to]
            if to in self.live and to not in self.known and self.live[to] == self.known[path]:
                self.known[to] = self.known.pop(path)
                self.missed.pop(path, None)
        for path in sorted(self.known.keys() - self.live.keys()):
            self.missed[path] = self.missed.get(path, 0) + 1
            if self.missed[path] >= 2:
                del self.known[path]
        for path in self.live:
            self.missed.pop(path, None)
        self.known.update(self.live)

    def glimpse(self, broken):
        """Carry the rules out on a half-dead night: what could be read is news, what could not is no evidence."""
        for path, page in self.live.items():
            moved = path not in self.known and page in self.known.values()  # cannot be told on such a night
            if path not in broken and not moved:
                self.known[path] = page
                self.missed.pop(path, None)


async def night(site, persona, state):
    source = WebsiteSource(website=site.base, name="world", delay=0, prompts=False, review=False)
    run = await open_run(source, persona=persona, state=state, purpose="sync")
    run.start()
    async for head in run.batches():
        await run.deliver(head.id)
    with contextlib.suppress(UsageError):  # an outage is a night too; the summary tells it
        await run.collect()
    await run.change()
    await run.verify()
    return await run.finish()


async def stored(state):
    from connectors.persona import server

    client = server.embedded(state.folder())
    try:
        return {item.id: item.content async for item in client.training_data()}
    finally:
        await client.close()


def by_path(items, base):
    pages = {}
    for content in items.values():
        source, _, rest = content.partition("\n")
        path = source.removeprefix("Source: ").removeprefix(base)
        assert path not in pages, f"{path} stands twice"
        pages[path] = rest
    return pages


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_after_each_of_thirty_nights_the_knowledge_base_is_what_the_rules_say(site, persona, state):
    world = World(site=site, rng=random.Random(30))
    world.add(60)
    before: dict[str, str] = {}
    rows = []
    for number in range(1, 31):
        outage = number in {7, 19}
        if number > 1:
            world.add(2)
            world.change(3)
            world.remove(1)
            world.move(1)
        site.robots = "User-agent: *\nDisallow: /" if number == 13 else None
        site.down = outage
        broken = set(world.pick(20)) if number == 10 else set()
        site.statuses = dict.fromkeys(broken, 500)
        world.publish()
        asked = len(site.requests)
        summary = await night(site, persona, state)
        site.down = False
        if broken:
            world.glimpse(broken)
        elif not outage and number != 13:
            world.learn()
        after = await stored(state)
        pages = by_path(after, site.base)
        pages.pop("", None)
        expected = {path.removeprefix("/"): page for path, page in world.known.items()}
        assert pages.keys() == expected.keys(), f"night {number}"
        for path, (title, body) in expected.items():
            assert title in pages[path], f"night {number}: {path}"
            assert body in pages[path], f"night {number}: {path}"
        writes = len(after.items() - before.items()) + len(before.keys() - after.keys())
        rows.append((number, summary["state"], len(site.requests) - asked, len(pages), writes))
        if outage or number == 13:
            assert writes == 0
        before = after
    for row in rows:
        night_number, told, requests, count, wrote = row
        print(f"night {night_number:2} {told:17} requests {requests:3} pages {count:3} writes {wrote:2}")
