"""What the ledger costs a page, and whether that grows: a first import and an unchanged night over one ledger.

    uv run python tests/benchmarks/speed/ledger.py [PAGES...]        # default: 10000 100000; 1000000 takes half an hour
    uv run python tests/benchmarks/speed/ledger.py --postgresql [PAGES...]       # on a PostgreSQL server of its own
    uv run python tests/benchmarks/speed/ledger.py --frontier [URLS...]          # only found and taken, not recorded

Each page goes the whole way: found, taken, read, recorded, cut into a batch, sent, seen once; then a night of 304s.
Reported: CPU microseconds a page of the first and of the last tenth (what grows shows there), memory, bytes on disk.
On PostgreSQL the CPU is that of this process and of the server's process behind its connection; memory is ours alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from connectors.ledger import open_ledger
from connectors.models import Draft, Extracted, Found, Page, Resource
from connectors.web.frontier import Frontier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINKS, BATCH, AT_ONCE = 20, 50, 48
TEXT = "All that is recorded of a page, and what it costs. " * 20


def uri(number: int) -> str:
    return f"https://docs.example/chapters/{number % 97}/page-{number}.html"


def fetched(number: int, *, body: bytes | None) -> Resource:
    return Resource(uri=uri(number), requested_uri=uri(number), media_type="text/html", body=body, status=200, etag="1")


def cleaned(number: int) -> tuple[Resource, Extracted, list[Draft]]:
    text = f"{TEXT}{number}"
    key = hashlib.sha256(text.encode()).hexdigest()
    page = Page(
        uri=uri(number), title=f"Chapter {number}", content=text, metadata={"url": uri(number)}, blocks=(1, 2, 3)
    )
    links = tuple(uri(child) for child in range(number * LINKS + 1, number * LINKS + LINKS + 1))
    draft = Draft(page=page, content=f"Source: {uri(number)}\n\n{text}", text_hash=key, fingerprint=key)
    return fetched(number, body=text.encode()), Extracted(pages=(page,), links=links), [draft]


class Tenths:
    """CPU seconds at each tenth of the way."""

    def __init__(self, pages: int, clock: Callable[[], float] = time.process_time) -> None:
        self.clock, self.every, self.marks = clock, max(1, pages // 10), [clock()]

    def passed(self, done: int) -> None:
        if done // self.every >= len(self.marks):
            self.marks.append(self.clock())

    def __str__(self) -> str:
        us = [1e6 * (after - before) / self.every for before, after in zip(self.marks, self.marks[1:], strict=False)]
        return f"{us[0]:6.0f} … {us[-1]:6.0f}"


async def clock_of(ledger) -> Callable[[], float]:
    """Return what tells the CPU seconds of this process, and of the server's behind a ledger on PostgreSQL."""
    if not ledger.url.startswith("postgresql"):
        return time.process_time
    backend = await ledger._writer.call(lambda connection: connection.value("SELECT pg_backend_pid()"))
    stat = Path(f"/proc/{backend}/stat")

    def clock() -> float:
        fields = stat.read_text().rpartition(")")[2].split()
        return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    return clock


async def crawl(ledger, pages: int, *, unchanged: bool) -> Tenths:
    run = await ledger.begin(
        source="docs", kind="website", origin=uri(0), destination="d", options={}, purpose="sync", config="c"
    )
    frontier, tenths, done = Frontier(ledger.frontier(run)), Tenths(pages, await clock_of(ledger)), 0
    await frontier.add([Found(uri=uri(0), by="start")])

    async def one(number: int) -> None:
        if unchanged:
            same = fetched(number, body=None)
            links = await ledger.same(run, same, "c") or ()
        else:
            resource_, extracted, drafts = cleaned(number)
            await ledger.same(run, resource_, "c")
            links = extracted.links
        wanted = [link for link in links if int(link.rpartition("-")[2][:-5]) < pages]
        await frontier.add([Found(uri=link, by="link", depth=1, via=uri(number)) for link in wanted])
        if unchanged:
            await ledger.unchanged(run, same)
        else:
            await ledger.record(run, resource_, extracted, drafts, config="c")

    while due := await frontier.take(AT_ONCE):
        await asyncio.gather(*(one(int(item.uri.rpartition("-")[2][:-5])) for item in due))
        done += len(due)
        if not unchanged:
            await deliver(ledger, run, final=False)
        tenths.passed(done)
    if not unchanged:
        await deliver(ledger, run, final=True)
    assert done == pages, done
    await ledger.counts(run)
    await ledger.finish(run, state="completed", complete=True, summary={})
    return tenths


async def deliver(ledger, run, *, final: bool) -> None:
    for head in await ledger.sending.cut(run, most=BATCH, max_bytes=2**23, method="store", final=final):
        work = await ledger.sending.load(head.id)
        await ledger.sending.mark_sent(run, head.id, {page.version_id: b"x" * 16 for page in work.pending})
        await ledger.sending.mark_delivered(run, head.id)
        await ledger.sending.confirm(run, {page.version_id: [f"item-{page.version_id}"] for page in work.pending})


async def frontier_only(urls: int) -> None:
    """Find so many addresses, each as often again as a link that is known, and take them all."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_ledger(f"sqlite:///{Path(folder) / 'ledger.sqlite3'}") as ledger:
            run = await ledger.begin(
                source="docs", kind="website", origin=uri(0), destination="d", options={}, purpose="sync", config="c"
            )
            frontier, found, taken = Frontier(ledger.frontier(run)), Tenths(urls), Tenths(urls)
            for start in range(0, urls, LINKS * AT_ONCE):  # as many pages at once as a crawl has in work
                pages = [
                    [Found(uri=uri(number), by="link", depth=1) for number in range(first, min(urls, first + LINKS))]
                    for first in range(start, min(urls, start + LINKS * AT_ONCE), LINKS)
                ]
                for _ in range(2):
                    await asyncio.gather(*(frontier.add(links) for links in pages))
                found.passed(min(urls, start + LINKS * AT_ONCE))
            done, taken.marks = 0, [time.process_time()]
            while due := await frontier.take(100):
                done += len(due)
                taken.passed(done)
        assert done == urls, done
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{urls:9} URLs: us to find one {found}, to take one {taken}; peak {peak:.0f} MB", flush=True)


async def main() -> None:
    if sys.argv[1:2] == ["--frontier"]:
        for urls in [int(word) for word in sys.argv[2:]] or [10_000, 1_000_000]:
            await frontier_only(urls)
        return
    postgresql = sys.argv[1:2] == ["--postgresql"]
    print(f"{'pages':>9} {'import: us a page':>22} {'unchanged: us a page':>22} {'peak MB':>8} {'bytes a page':>13}")
    for pages in [int(word) for word in sys.argv[1 + postgresql :]] or [10_000, 100_000]:
        with new_postgresql() if postgresql else new_sqlite() as (url, size):
            async with open_ledger(url) as ledger:
                first = await crawl(ledger, pages, unchanged=False)
                again = await crawl(ledger, pages, unchanged=True)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{pages:9} {first!s:>22} {again!s:>22} {peak:8.0f} {size() / pages:13.0f}", flush=True)


@contextlib.contextmanager
def new_sqlite() -> Iterator[tuple[str, Callable[[], int]]]:
    """Yield the address of a new ledger, and what tells its bytes on disk."""
    with tempfile.TemporaryDirectory() as folder:
        yield (
            f"sqlite:///{Path(folder) / 'ledger.sqlite3'}",
            lambda: sum(file.stat().st_size for file in Path(folder).iterdir()),
        )


@contextlib.contextmanager
def new_postgresql() -> Iterator[tuple[str, Callable[[], int]]]:
    """The same on a server that lives as long; it waits for the disk as one in earnest does."""
    import pg8000.native

    sys.path.insert(0, str(Path(__file__).parents[2]))
    from databases import cluster

    with cluster("fsync=on", "shared_buffers=128MB") as url:
        address = urlsplit(url)

        def size() -> int:
            with pg8000.native.Connection(
                "ledger", host=address.hostname, port=address.port, database="postgres"
            ) as base:
                return base.run("SELECT pg_database_size('postgres')")[0][0]

        yield url, size


if __name__ == "__main__":
    asyncio.run(main())
