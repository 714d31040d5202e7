"""Programs that dial by themselves, Chromium and git, dial no form of an inside address.

No audit hook hears them; the canary does, and git says of each address why it stopped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from loopback import Reply
from ssrf_forms import SITE, forms, named, names

from connectors.errors import UsageError
from connectors.models import Resource, Skipped
from connectors.settings import GitSource
from connectors.sources.git import Git
from connectors.web import render, urls
from connectors.web.fetcher import Fetcher, Limits

pytestmark = pytest.mark.slow
browser = pytest.mark.skipif(not render.available(), reason="needs the extra 'browser' and Chromium")
needs_git = pytest.mark.skipif(not shutil.which("git"), reason="needs git")

GUARDED = {
    "fetch": "fetch(u).catch(e => 0)",
    "import": "import(u).catch(e => 0)",
    "script": "put('script', {src: u})",
    "style": "put('link', {rel: 'stylesheet', href: u})",
}
"""What the guard is asked for; all else is refused before it."""
LIGHT = (
    "fetch(u, {method: 'POST', body: 'x', mode: 'no-cors'}).catch(e => 0)",
    "navigator.sendBeacon(u, 'x')",
    "new Worker(u)",
    "put('link', {rel: 'preload', as: 'fetch', href: u})",
    "put('link', {rel: 'prefetch', href: u}); put('link', {rel: 'preconnect', href: u})",
    "new Image().src = u",
    "put('img', {srcset: u + ' 2x'})",
    "put('video', {src: u, preload: 'auto'}); put('audio', {src: u, preload: 'auto'})",
    'put(\'style\', {textContent: `@import url("${u}"); @font-face {font-family: f; src: url("${u}")}`})',
)
HEAVY = {
    "socket": "new WebSocket(u.replace(/^http/, 'ws'))",
    "events": "new EventSource(u)",
    "object": "put('object', {data: u}); put('embed', {src: u})",
    "frame": "put('iframe', {src: u})",
    "form": "put('form', {action: u, method: 'post', target: '_blank'}).submit()",
    "window": "window.open(u)",
}
"""What two hundred of may take a browser longer than a page has: given up, it has reached nobody either."""
LOADS = {**GUARDED, "light": "; ".join(f"try {{ {load} }} catch (e) {{}}" for load in LIGHT), **HEAVY}


def scripted(port: int) -> list[str]:
    """Return the forms that differ once a browser reads them, and those that it does not read as http."""
    return list({urls.normalise(form) or form: form for form in forms(port)}.values())


@browser
@pytest.mark.parametrize("how", LOADS)
async def test_what_a_rendered_page_loads_reaches_nothing(site, canary, resolver, *, how):
    inside = scripted(canary.port) + (named(canary.port) if how in GUARDED else [])
    assert len(inside) >= 200
    site.routes["/app"] = Reply(
        "<body><script>function put(tag, given) { const made = document.createElement(tag);"
        " Object.assign(made, given); document.body.append(made); return made }"
        f" for (const u of {in_a_script(inside)}) {{ try {{ {LOADS[how]} }} catch (e) {{}} }}"
        " document.body.append('done')</script></body>"
    )
    got = await rendered(site, resolver, whole_s=20 if how in HEAVY else 120)
    assert canary.connections == 0
    assert canary.asked == []
    if how not in HEAVY:
        assert isinstance(got, Resource), got
        assert b"done" in got.body
    if how in GUARDED:
        assert resolver.asked >= set(names(SITE)), "each came to the guard"


@browser
@pytest.mark.parametrize("how", ["location.href = u", "location.replace(u)", "history.pushState(0, '', u)"])
async def test_where_a_rendered_page_goes_reaches_nothing(site, canary, resolver, *, how):
    """A page that leaves for an address inside is no page; one that goes on is taken as it is."""
    site.routes["/app"] = Reply(
        f"<body><script>for (const u of {in_a_script(scripted(canary.port))}) {{ try {{ {how} }} catch (e) {{}} }}"
        "</script></body>"
    )
    assert isinstance(await rendered(site, resolver, whole_s=20), Resource | Skipped)
    assert canary.connections == 0


def in_a_script(value: list[str]) -> str:
    return json.dumps(value).replace("</", "<\\/")


async def rendered(site, resolver, *, whole_s=60.0):
    fetcher = Fetcher(
        user_agent="persona-ingest/0",
        allowed=(site.url,),
        resolver=resolver,
        concurrency=64,
        limits=Limits(attempts=1, connect_s=20, idle_s=20, whole_s=40),
    )
    renderer = render.Renderer(fetcher, limits=render.RenderLimits(requests=10_000, whole_s=whole_s))
    try:
        return await renderer.render(await fetcher.fetch(f"{site.url}/app"))
    finally:
        await renderer.close()
        await fetcher.aclose()


class Server(BaseHTTPRequestHandler):
    """A git server that sends everybody elsewhere; ``answers`` are by path, else ``status`` and ``location``."""

    answers: dict[str, bytes]
    status = 302
    location = ""
    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        found = self.answers.get(self.path.partition("?")[0])
        self.send_response(200 if found is not None else self.status)
        if found is None:
            self.send_header("Location", self.location)
        self.send_header("Content-Length", str(len(found or b"")))
        self.end_headers()
        self.wfile.write(found or b"")

    do_POST = do_GET  # noqa: N815 - the standard library asks by this name

    def log_message(self, *_): ...


@pytest.fixture
def server():
    handler = type("Handler", (Server,), {"answers": {}, "asked": []})
    made = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}/repo.git", handler
    made.shutdown()
    made.server_close()


def sendable(port: int) -> list[str]:
    """Return the addresses that a header can hold, those that differ."""
    inside = {urls.normalise(form): form for form in forms(port) if form.isascii() and form.isprintable()}
    return [*(form for known, form in inside.items() if known), *named(port)]


async def read(where: str) -> list:
    return [item async for item in Git(GitSource(git=where)).read()]


@needs_git
async def test_redirects_of_a_git_server_reach_nothing(server, canary):
    url, handler = server
    inside = sendable(canary.port)[::2]
    assert len(inside) >= 200
    for form in inside:
        handler.location = form + "/info/refs?service=git-upload-pack"
        with pytest.raises(UsageError, match="302"):
            await read(url)
    assert len(handler.asked) == len(inside)
    assert canary.connections == 0


@needs_git
async def test_alternates_of_a_git_server_reach_nothing(server, canary):
    """A server that is only files can name other servers for the objects it lacks."""
    url, handler = server
    commit = sha1(b"missing").hexdigest()
    inside = "\n".join(f"{form}/objects" for form in sendable(canary.port)).encode()
    handler.status = 404
    handler.answers = {
        "/repo.git/info/refs": f"{commit}\trefs/heads/main\n".encode(),
        "/repo.git/HEAD": b"ref: refs/heads/main\n",
        "/repo.git/objects/info/http-alternates": inside,
        "/repo.git/objects/info/alternates": inside,
    }
    with pytest.raises(UsageError):
        await read(f"{url}#{commit}")
    assert any(commit[2:] in path for path in handler.asked), "the missing object was asked for"
    assert canary.connections == 0


@needs_git
async def test_submodules_of_a_repository_reach_nothing(canary, tmp_path):
    inside = sendable(canary.port)
    root = tmp_path / "repo"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*words: str, given: bytes = b"") -> bytes:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        return subprocess.run(
            ["git", *who, *words], cwd=root, env=env, check=True, input=given, capture_output=True
        ).stdout

    root.mkdir()
    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "one")
    commit = git("rev-parse", "HEAD").strip().decode()
    modules = "".join(f'[submodule "m{n}"]\n\tpath = docs/m{n}.md\n\turl = {form}\n' for n, form in enumerate(inside))
    (root / ".gitmodules").write_text(modules)
    (root / "a.md").write_text("# A")
    git("add", ".gitmodules", "a.md")
    entries = "".join(f"160000 {commit}\tdocs/m{number}.md\n" for number in range(len(inside)))
    git("update-index", "--index-info", given=entries.encode())
    git("commit", "-q", "-m", "modules")
    items = await read(str(root))
    rules = [item.rule for item in items if isinstance(item, Skipped)]
    assert rules.count("submodule") == len(inside) >= 400
    assert [item.body for item in items if isinstance(item, Resource)] == [b"# A"]
    assert canary.connections == 0
