"""A website of the test's own on loopback, and a place for state: what the pipeline's tests share."""

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import escape

import pytest

from connectors.settings import PersonaSettings, StateSettings


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

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
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
            try:
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
            except (ConnectionError, asyncio.IncompleteReadError, IndexError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(speak, "127.0.0.1", 0)
        self.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        try:
            yield self
        finally:
            server.close()


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
