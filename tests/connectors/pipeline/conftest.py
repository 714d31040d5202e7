"""A website of the test's own on loopback, and a place for state: what the pipeline's tests share."""

import asyncio
import contextlib
import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import escape

import pytest

from connectors.settings import PersonaSettings, StateSettings
from tests.loopback import listening


@dataclass
class Site:
    """Pages by path; each is HTML text, a redirect or a status. It can be changed while it serves."""

    pages: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    robots: str | None = None
    down: bool = False
    validators: bool = True
    requests: list[tuple[str, int]] = field(default_factory=list)
    base: str = ""

    def article(self, path: str, title: str, body: str, links: dict[str, str] | None = None) -> None:
        """Put an ordinary article under a path."""
        listed = "".join(f'<li><a href="{escape(to)}">{escape(text)}</a></li>' for to, text in (links or {}).items())
        self.pages[path] = (
            f"<!doctype html><html lang=en><head><title>{escape(title)}</title></head><body>"
            f"<nav><a href='/'>Home</a></nav><main><h1>{escape(title)}</h1><p>{escape(body)}</p>"
            f"{'<ul>' + listed + '</ul>' if listed else ''}</main><footer>Site footer</footer></body></html>"
        )

    def asked(self, path: str) -> int:
        """Return how often a path was requested."""
        return sum(1 for asked, _ in self.requests if asked == path)

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:  # noqa: PLR0911
        """Return status, headers and body for a request."""
        if self.down:
            return 503, {}, b"down"
        if path == "/robots.txt":
            return (200, {"content-type": "text/plain"}, self.robots.encode()) if self.robots else (404, {}, b"")
        if path in self.redirects:
            return 301, {"location": self.redirects[path]}, b""
        if path in self.statuses:
            return self.statuses[path], {"content-type": "text/html"}, b"<p>an error page</p>"
        if path not in self.pages:
            return 404, {"content-type": "text/html"}, b"<h1>not found</h1>"
        body = self.pages[path].encode()
        etag = '"' + hashlib.sha256(body).hexdigest()[:16] + '"'
        sent = {"content-type": self.types.get(path, "text/html; charset=utf-8"), **self.headers.get(path, {})}
        if self.validators:
            sent["etag"] = etag
            if headers.get("if-none-match") == etag:
                return 304, {"etag": etag}, b""
        return 200, sent, body

    @asynccontextmanager
    async def serve(self):
        """Serve on a free port; ``base`` is then the address of ``/``."""

        async def speak(reader, writer):
            with contextlib.suppress(IndexError):
                while line := (await reader.readline()).decode("latin-1").strip():
                    path = line.split(" ")[1]
                    headers = {}
                    while header := (await reader.readline()).decode("latin-1").strip():
                        name, _, value = header.partition(":")
                        headers[name.lower()] = value.strip()
                    status, sent, body = self.answer(path, headers)
                    self.requests.append((path, status))
                    lines = [
                        f"HTTP/1.1 {status} X",
                        f"content-length: {len(body)}",
                        *(f"{k}: {v}" for k, v in sent.items()),
                    ]
                    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
                    await writer.drain()

        async with listening(speak) as port:
            self.base = f"http://127.0.0.1:{port}/"
            yield self


@pytest.fixture
async def site():
    """An empty site that serves."""
    async with Site().serve() as serving:
        yield serving


@pytest.fixture
def state(tmp_path):
    """Settings with a state folder of the test's own and no account."""
    return StateSettings(state=tmp_path / "state", ledger=None)


@pytest.fixture
def persona(monkeypatch):
    """Settings of a machine without an account: the embedded knowledge base."""
    for name in ("PERSONA_CLIENT_SECRET", "PERSONA_BASE_URL", "PERSONA_INGEST_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    return PersonaSettings()


@pytest.fixture
async def pool():
    """One warm worker process."""
    from connectors.extractors.pool import CleanerPool

    pool = CleanerPool(workers=1)
    yield pool
    await pool.close()


@pytest.fixture
def crawl(site, pool, tmp_path):
    """Crawl the site once into the test's ledger; gives the counts and every page's text by URI."""
    from connectors.extractors import tidy
    from connectors.ledger import open_ledger
    from connectors.models import CleaningRules
    from connectors.pipeline import parts
    from connectors.pipeline.collect import Collector
    from connectors.pipeline.progress import Progress
    from connectors.settings import WebsiteSource

    async def crawled(*, stop_after=None, cleaners=None, **options):
        source = WebsiteSource(website=site.base, delay=0, **options)
        async with open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite3") as ledger:
            rules = CleaningRules(select=source.select, remove=source.remove)
            run = await ledger.begin(
                source="s", kind="website", origin=site.base, destination="d", options={}, purpose="sync",
                config=tidy.config_fingerprint(rules),
            )  # fmt: skip
            reader, fetcher = parts.open_source(source, headers={}, ledger=ledger, run=run)
            collector = Collector(
                ledger=ledger, run=run, source=reader, pool=cleaners or pool, rules=rules, progress=Progress(),
                alternate=reader.fetch_alternate,
            )  # fmt: skip
            try:
                work = asyncio.create_task(collector.collect())
                if stop_after is not None:
                    while collector.progress.done < stop_after:
                        await asyncio.sleep(0.005)
                    work.cancel()
                    await asyncio.wait({work})
                    recorded = {row.uri async for row in ledger.pages(run)}
                    await ledger.release(run)
                    return recorded
                await work
                crawled.progress = collector.progress
                counts = await ledger.counts(run)
                pages = {row.uri: row async for row in ledger.pages(run)}
                await ledger.finish(run, state="completed", complete=collector.complete, summary={})
                return counts, pages
            finally:
                await fetcher.aclose()

    return crawled
