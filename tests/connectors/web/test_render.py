"""Rendering by a real Chromium, with nothing but the guard between it and the network."""

from __future__ import annotations

import pytest
from loopback import Reply

from connectors.errors import UsageError
from connectors.models import Resource, Skipped
from connectors.web import render
from connectors.web.render import Renderer, RenderLimits

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not render.available(), reason="needs the extra 'browser' and Chromium"),
]


@pytest.fixture
async def shell(site, make_fetcher):
    """Return a function that renders a page made of this script."""
    fetcher = make_fetcher(site.url)
    renderers = []

    async def go(script: str, *, limits: RenderLimits | None = None, times: int = 1) -> Resource | Skipped:
        site.routes["/app"] = Reply(f"<title>t</title><div id=root></div><script>{script}</script>")
        resource = await fetcher.fetch(f"{site.url}/app")
        renderer = Renderer(fetcher, limits=limits)
        renderers.append(renderer)
        for _ in range(times):
            got = await renderer.render(resource)
        return got

    yield go
    for renderer in renderers:
        await renderer.close()


async def test_a_shell_becomes_a_page_without_being_asked_for_again(site, shell):
    site.routes["/data.json"] = Reply('{"text": "made by a script ü"}', media_type="application/json")
    got = await shell(
        "fetch('/data.json').then(r => r.json()).then(d => document.getElementById('root').innerText = d.text)"
    )
    assert isinstance(got, Resource), got
    assert "made by a script ü" in got.body.decode()
    assert site.targets() == ["/app", "/data.json"]
    assert site.asked[-1].headers["user-agent"].startswith("persona-ingest")


async def test_a_page_reaches_nobody_inside(site, stranger, shell):
    where = stranger.url
    hostile = f"""
        fetch('{where}/fetch', {{mode: 'no-cors'}}).catch(e => 0);
        fetch('/post', {{method: 'POST', body: 'x'}}).catch(e => 0);
        new Image().src = '{where}/image';
        navigator.sendBeacon('{where}/beacon', 'x');
        try {{ new WebSocket('{where.replace("http", "ws")}/socket'); }} catch (e) {{}}
        try {{ new EventSource('{where}/events'); }} catch (e) {{}}
        try {{ new Worker('{where}/worker.js'); }} catch (e) {{}}
        let f = document.createElement('iframe'); f.src = '{where}/frame'; document.body.append(f);
        let l = document.createElement('link'); l.rel = 'prefetch'; l.href = '{where}/prefetch';
        document.head.append(l);
        let s = document.createElement('script'); s.src = '{where}/script.js'; document.head.append(s);
        window.open('{where}/window');
        try {{ let p = new RTCPeerConnection({{iceServers: [{{urls: 'stun:127.0.0.1:{stranger.port}'}}]}});
            p.createDataChannel('x'); p.createOffer().then(o => p.setLocalDescription(o)); }} catch (e) {{}}
        document.getElementById('root').innerText = 'still here';
        setTimeout(() => location = '{where}/away', 50);
    """
    got = await shell(hostile)
    assert isinstance(got, Resource), got
    assert b"still here" in got.body
    assert stranger.asked == []
    assert stranger.connections == 0
    assert {asked.target for asked in site.asked} <= {"/app"}


async def test_a_page_that_never_ends_is_given_up(shell):
    got = await shell("while (true) {}", limits=RenderLimits(whole_s=3))
    assert isinstance(got, Skipped)
    assert got.rule in {"render-timeout", "render-failed"}


async def test_a_page_may_load_so_much_and_no_more(site, shell):
    site.fallback = lambda _: Reply("1", media_type="application/json")
    await shell("for (let i = 0; i < 50; i++) fetch('/x' + i)", limits=RenderLimits(requests=5))
    assert len(site.targets()) == 1 + 5


async def test_what_robots_txt_forbids_is_not_loaded_for_a_page_either(site, stranger, shell):
    site.routes["/robots.txt"] = Reply("User-agent: *\nDisallow: /private/", media_type="text/plain")
    site.fallback = lambda _: Reply("1", media_type="application/json")
    await shell("fetch('/private/data'); fetch('/open/data')")
    assert site.targets() == ["/app", "/open/data"]
    assert sum(asked.path == "/robots.txt" for asked in site.asked) == 1


async def test_a_worn_out_browser_is_replaced(shell):
    got = await shell("document.getElementById('root').innerText = 'yes'", limits=RenderLimits(pages=1), times=3)
    assert isinstance(got, Resource)


def test_without_a_browser_one_sentence_says_what_to_do(monkeypatch, make_fetcher):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert not render.available()
    with pytest.raises(UsageError, match="chromium"):
        Renderer(make_fetcher())
