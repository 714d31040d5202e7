"""A canary secret, given in every way a secret can be given, is found nowhere: not in success and not in failure."""

from __future__ import annotations

import base64
import contextlib
import http.server
import itertools
import json
import logging
import os
import subprocess
import sys
import threading
import traceback
from urllib.parse import quote, unquote

import pytest
from loopback import Reply, redirect
from pydantic import SecretStr

from connectors.errors import IngestError
from connectors.persona.client import PersonaClient
from connectors.pipeline.run import open_run
from connectors.settings import FeedSource, PersonaSettings, SitemapSource, StateSettings, WebsiteSource
from connectors.web.fetcher import Fetcher, Limits
from tests.connectors.persona.serving import served

API, HEADER, LITERAL, PASSWORD, TOKEN = (
    f"canary/{name}+7f3a9c51e2" for name in ("api", "header", "literal", "password", "token")
)
SECRETS = (API, HEADER, LITERAL, PASSWORD, TOKEN)
SLOW = pytest.mark.slow
HEADERS = ("Authorization: ${CANARY}", f"X-Key: {LITERAL}")


WRITTEN = {
    "plain": str,
    "upper": str.upper,
    "swapped": str.swapcase,
    "reversed": lambda said: said[::-1],
    "percent": lambda said: quote(said, safe=""),
    "percent of every byte": lambda said: "".join(f"%{byte:02X}" for byte in said.encode()),
    "percent twice": lambda said: quote(quote(said, safe=""), safe=""),
    "entities": lambda said: "".join(f"&#{ord(letter)};" for letter in said),
    "escapes": lambda said: "".join(f"\\u{ord(letter):04x}" for letter in said),
    "hex": lambda said: said.encode().hex(),
    "base32": lambda said: base64.b32encode(said.encode()).decode(),
    "base64": lambda said: base64.b64encode(said.encode()).decode(),
    "base64 twice": lambda said: base64.b64encode(base64.b64encode(said.encode())).decode(),
    "json": json.dumps,
    "half": lambda said: f"{said[:16]} is the first half of it",
}
"""How a server that means harm may write what it was sent, so that a search for the secret does not find it."""


def forms(secret: str) -> set[bytes]:
    """Return how a secret may be written: as in `WRITTEN`, and in base64 at any of the three offsets."""
    plain = {write(secret) for write in WRITTEN.values()} | {quote(secret), secret.replace("/", "\\/"), secret[:16]}
    coded = set()
    for before in ("", "a", "ab"):
        text = base64.b64encode((before + secret).encode()).decode()
        start, end = (0, 2, 3)[len(before)], len(text.rstrip("=")) - 2
        coded |= {text[start + 2 : end], text[start + 2 : end].replace("+", "-").replace("/", "_")}
    return {form.encode().lower() for form in plain | coded}


def leaks(secret: str, *texts: bytes, folder=None) -> list[str]:
    """Return where a secret is found, in any form."""
    written = [("output", text) for text in texts]
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder else []
    written += [(str(path.relative_to(folder)), path.read_bytes()) for path in files]
    return [f"{where}: {form.decode()}" for where, text in written for form in forms(secret) if form in text.lower()]


def all_leaks(*texts: bytes, folder=None) -> list[str]:
    return [leak for secret in SECRETS for leak in leaks(secret, *texts, folder=folder)]


class _Site(http.server.BaseHTTPRequestHandler):
    """Three pages; `asked` keeps what came with each request."""

    asked: list[tuple[str, dict[str, str]]]

    def do_GET(self):
        self.asked.append((self.path, dict(self.headers)))
        path = self.path.partition("?")[0]
        found = path in {"/", "/a", "/b"}
        words = f"Whoever reads the page {path} learns something of it that no other page says, in one sentence."
        body = (
            f"<!doctype html><html lang=en><title>Page {path}</title><main><h1>Page {path}</h1><p>{words}</p>"
            "<a href='/a'>A</a> <a href='/b'>B</a></main>"
        ).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_): ...


class _Refusing(http.server.BaseHTTPRequestHandler):
    """A Persona API that refuses everything, and repeats what it was sent in its message and its headers."""

    status = 401
    writes = itertools.cycle([str])

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = self.headers.get("Authorization", "")
        echo = f"what is {next(self.writes)(said)}?"
        body = json.dumps({"status": "error", "detail": echo, "error": echo, "message": echo}).encode()
        self.send_response(self.status, said)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Echo", said)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PATCH = do_DELETE = do_PUT = do_POST  # noqa: N815 - the names of http.server

    def log_message(self, *_): ...


@contextlib.contextmanager
def _serving(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def pages():
    """A site, and what it was asked."""
    handler = type("Pages", (_Site,), {"asked": []})
    with _serving(handler) as url:
        yield url, handler.asked


@contextlib.contextmanager
def _refusing(status: int, *writes):
    with _serving(
        type("Refusing", (_Refusing,), {"status": status, "writes": itertools.cycle(writes or WRITTEN.values())})
    ) as url:
        yield url + "persona/"


@contextlib.contextmanager
def _api(answer, tmp_path):
    """Serve the documented API, which wants the secret, or what refuses; its own state is not searched."""
    if answer != "accepts":
        with _refusing(answer) as url:
            yield url
        return
    with served(tmp_path / "api", secret=SecretStr(API)) as root:
        yield f"{root}persona/"


def _with_secrets(url: str) -> str:
    return url.replace("://", f"://reader:{quote(PASSWORD, safe='')}@") + f"?access_token={quote(TOKEN, safe='')}"


@pytest.mark.timeout(400)  # an API that is down is waited for
@pytest.mark.parametrize(
    "answer", ["accepts", 422, *(pytest.param(status, marks=pytest.mark.slow) for status in (401, 500))]
)
async def test_a_canary_secret_is_in_no_log_error_summary_or_file_of_a_run(
    pages, answer, tmp_path, monkeypatch, caplog
):
    url, asked = pages
    monkeypatch.setenv("CANARY", HEADER)
    caplog.set_level(logging.DEBUG)
    state = StateSettings(state=tmp_path / "state", ledger=None)
    told = []
    with _api(answer, tmp_path) as api:
        persona = PersonaSettings(client_secret=SecretStr(API), base_url=api)
        source = WebsiteSource(
            website=_with_secrets(url), header=HEADERS, delay=0, attempts=1, render="never", settle=0, timeout=2
        )
        run = await open_run(source, persona=persona, state=state)
        try:
            await run.collect()
            async for head in run.batches():
                await run.deliver(head.id)
            await run.verify()
            await run.prompts()
            await run.review()
        except IngestError as error:
            told += traceback.format_exception(error)
            run.failure = error
        summary = await run.finish()
    assert (summary["state"] == "completed") is (answer == "accepts")
    _were_used(asked)
    told += [json.dumps(summary), repr(run.persona), repr(persona), caplog.text]
    assert all_leaks("\n".join(told).encode(), folder=tmp_path / "state") == []


async def test_a_token_of_the_start_address_is_not_kept_when_the_site_redirects_with_it(site, tmp_path, monkeypatch):
    monkeypatch.delenv("PERSONA_BASE_URL", raising=False)
    query = f"access_token={quote(TOKEN, safe='')}"
    site.routes["/old"] = redirect(f"/new/?{query}")
    site.page("/new/", "/new/a", title="New")
    site.page("/new/a", title="A")
    state = StateSettings(state=tmp_path / "state", ledger=None)
    source = WebsiteSource(
        website=f"{site.url}/old?lang=en&{query}", delay=0, render="never", prompts=False, review=False
    )
    run = await open_run(source, persona=PersonaSettings(client_secret=None), state=state)
    await run.collect()
    summary = await run.finish()
    assert summary["urls"]["fetched"] == 2
    assert f"/old?lang=en&{query}" in site.targets()
    assert f"/new/?{query}" in site.targets()
    assert all_leaks(json.dumps(summary).encode(), folder=tmp_path / "state") == []


ENTRIES = "".join(
    f"<entry><id>{n}</id><title>T{n}</title><content type='html'>{'Said here. ' * 150}{n}</content></entry>"
    for n in range(3)
)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("kind", ["feed", "sitemap"])
async def test_a_token_in_the_address_of_a_feed_or_a_sitemap_is_not_kept(site, tmp_path, monkeypatch, kind, fails):
    """Not as the address of an entry that has none, nor as the place where an address was found or a list failed."""
    monkeypatch.delenv("PERSONA_BASE_URL", raising=False)
    query = f"key={quote(TOKEN, safe='')}"
    more = f"{site.url}/more?{query}"
    if kind == "feed":
        first = f"<feed xmlns='http://www.w3.org/2005/Atom'><link rel='next' href='{more}'/>{ENTRIES}</feed>"
        source = FeedSource(feed=f"{site.url}/list?{query}", delay=0, prompts=False, review=False)
    else:
        site.page("/a", title="A")
        first = f"<sitemapindex><sitemap><loc>{more}</loc></sitemap></sitemapindex>"
        site.routes["/more"] = Reply(
            f"<urlset><url><loc>{site.url}/a</loc></url></urlset>", media_type="application/xml"
        )
        source = SitemapSource(sitemap=f"{site.url}/list?{query}", delay=0, prompts=False, review=False)
    site.routes["/list"] = Reply(first, media_type="application/xml")
    if fails:
        site.routes["/more"] = Reply("gone", 404)
    state = StateSettings(state=tmp_path / "state", ledger=None)
    run = await open_run(source, persona=PersonaSettings(client_secret=None), state=state)
    await run.collect()
    async for head in run.batches():
        await run.deliver(head.id)
    summary = await run.finish()
    assert f"/more?{query}" in site.targets()
    assert sum(summary["urls"]["failed"].values()) == (fails or kind == "feed")
    assert summary["urls"]["fetched"] == {"feed": 3, "sitemap": not fails}[kind]
    assert all_leaks(json.dumps(summary).encode(), folder=tmp_path / "state") == []


@pytest.mark.parametrize("raw", [b"HTTP/1.1 200 OK\r\nX\x00: %s\r\n\r\n", b"HTTP/1.1 %s\r\n\r\n", b"%s\r\n\r\n"])
async def test_a_header_that_a_site_repeats_in_a_broken_answer_is_not_told(site, raw):
    site.fallback = lambda asked: Reply(raw=raw % asked.headers["authorization"].encode())
    given = {"Authorization": f"Bearer {HEADER}"}
    limits = Limits(attempts=1)
    fetcher = Fetcher(user_agent="persona-ingest/0", headers=given, allowed=(site.url,), limits=limits)
    got = await fetcher.fetch(f"{site.url}/x")
    await fetcher.aclose()
    assert got.rule == "broken-answer"
    assert leaks(HEADER, got.detail.encode()) == []


@pytest.mark.parametrize("how", WRITTEN)
@pytest.mark.parametrize("status", [422, 500])
async def test_a_secret_that_the_api_repeats_in_other_letters_is_not_told(how, status):
    with _refusing(status, WRITTEN[how]) as api:
        async with PersonaClient(base_url=api, secret=SecretStr(API)) as client:
            with pytest.raises(IngestError) as caught:
                await client.auto_generate_prompts(["topic"])
    assert leaks(API, "".join(traceback.format_exception(caught.value)).encode()) == []


@pytest.mark.slow
@pytest.mark.timeout(400)  # an API that is down is waited for
@pytest.mark.parametrize(("answer", "debug"), [("accepts", True), (401, False), (401, True), (500, True)])
def test_a_canary_secret_is_in_no_output_and_no_file_of_the_command(pages, answer, debug, tmp_path):
    url, asked = pages
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT", "PERSONA"))}
    with _api(answer, tmp_path) as api:
        env |= {"PERSONA_CLIENT_SECRET": API, "PERSONA_BASE_URL": api, "CANARY": HEADER}
        headers = [word for line in HEADERS for word in ("--header", line)]
        words = ["import", _with_secrets(url), "--state", str(tmp_path / "state"), "--json", "--delay", "0", *headers]
        words += ["--attempts", "1", "--settle", "0", "--timeout", "2", "--render", "never"]
        words += ["--debug"] if debug else []
        done = subprocess.run([sys.executable, "-m", "flows.cli", *words], capture_output=True, env=env, timeout=380)
    assert (done.returncode == 0) is (answer == "accepts"), done.stderr.decode()
    assert (json.loads(done.stdout)["state"] == "completed") is (answer == "accepts")
    _were_used(asked)
    assert all(list((tmp_path / "state").rglob(name)) for name in ("ledger.sqlite3", "prefect.db"))
    assert all_leaks(done.stdout, done.stderr, folder=tmp_path / "state") == []


def test_the_search_finds_a_secret_however_it_is_written(tmp_path):
    for number, written in enumerate(
        (HEADER, quote(HEADER, safe=""), base64.b64encode(f"reader:{HEADER}".encode()).decode(), json.dumps(HEADER))
    ):
        (tmp_path / "state.db-wal").write_bytes(b"\x00\x01" + written.encode() + b"\xff")
        assert all_leaks(folder=tmp_path), number


def _were_used(asked):
    """The site got each of them: that they are nowhere is no accident."""
    assert asked[-1][1]["Authorization"] == HEADER
    assert asked[-1][1]["X-Key"] == LITERAL
    assert any(unquote(target) == f"/?access_token={TOKEN}" for target, _ in asked)
