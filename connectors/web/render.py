"""Pages that are empty without JavaScript, rendered by Chromium that has no network but ours (extra ``browser``)."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from connectors.errors import UsageError
from connectors.models import Resource, Skipped
from connectors.web import urls
from connectors.web.sites import Sites

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Playwright, Route

    from connectors.web.fetcher import Fetcher

log = logging.getLogger(__name__)

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
_USELESS = frozenset({"image", "media", "font", "texttrack", "manifest", "eventsource", "websocket", "ping", "other"})
# What is not intercepted (sockets, WebRTC, the browser's own errands) finds no name, no proxy and no loopback.
_NO_NETWORK = (
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--proxy-server=http://127.0.0.1:9",
    "--proxy-bypass-list=<-loopback>",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-pings",
    "--dns-prefetch-disable",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--js-flags=--max-old-space-size=512",
)


def browser_path() -> str:
    """Return the system's Chromium or one of its kin; empty when there is none."""
    return next((found for name in _BROWSERS if (found := shutil.which(name))), "")


def available() -> bool:
    """Say whether pages can be rendered here: the extra is installed and there is a browser."""
    return importlib.util.find_spec("playwright") is not None and bool(browser_path())


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderLimits:
    """How much one page may cost.

    Attributes:
        whole_s: until it is given up.
        quiet_s: how long to wait, after the page is there, for its requests to end.
        requests: what it may load.
        body_bytes: of what it becomes.
        pages: how many one browser renders before another takes its place, so that memory stays flat.
    """

    whole_s: float = 30.0
    quiet_s: float = 5.0
    requests: int = 200
    body_bytes: int = 16 * 1024 * 1024
    pages: int = 200


class Renderer:
    """One browser, two pages at once, each in a context of its own; every request is answered by the fetcher.

    The page itself is not asked for again: the browser gets the bytes that were fetched. What it loads goes through
    the guard as everything does, and the robots.txt of its origin decides as for a page; pictures, fonts, films,
    sockets, forms and further pages are refused.

    Args:
        fetcher: the polite client.
        limits: how much one page may cost.
        cuts: counts the pages whose requests were too many, under ``requests``.

    Raises:
        UsageError: the extra or a browser is missing.
    """

    def __init__(
        self, fetcher: Fetcher, *, limits: RenderLimits | None = None, cuts: Counter[str] | None = None
    ) -> None:
        if importlib.util.find_spec("playwright") is None:
            raise UsageError("Rendering needs the extra 'browser': uv sync --extra browser, or use --render never.")
        if not browser_path():
            raise UsageError("Rendering needs Chromium: install the package 'chromium', or use --render never.")
        self._fetcher = fetcher
        self._sites = Sites(fetcher)
        self._limits = limits or RenderLimits()
        self._cuts = Counter() if cuts is None else cuts
        self._slots = asyncio.Semaphore(2)
        self._starting = asyncio.Lock()
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._rendered = 0
        self._busy = 0

    async def render(self, resource: Resource) -> Resource | Skipped:
        """Return the page as its scripts make it; Skipped where that fails or takes too long."""
        began = monotonic()
        async with self._slots:
            self._busy += 1
            try:
                async with asyncio.timeout(self._limits.whole_s):
                    html = await self._html(resource)
            except TimeoutError:
                return _failed(resource, "render-timeout", f"it is not ready after {self._limits.whole_s:g} s")
            except Exception as error:
                log.debug("rendering %s failed", urls.redact(resource.uri), exc_info=True)
                return _failed(resource, "render-failed", str(error).partition("\n")[0][:200])
            finally:
                self._busy -= 1
        body = html.encode("utf-8", "replace")
        if len(body) > self._limits.body_bytes:
            return _failed(resource, "too-large", f"it grows to {len(body)} bytes")
        seconds = resource.seconds + monotonic() - began
        return replace(resource, body=body, charset="utf-8", media_type="text/html", seconds=seconds)

    async def close(self) -> None:
        """End the browser."""
        await self._sites.aclose()
        async with self._starting:
            await self._end()

    async def _end(self) -> None:
        browser, self._browser = self._browser, None
        playwright, self._playwright = self._playwright, None
        with contextlib.suppress(Exception):
            if browser is not None:
                await browser.close()
        with contextlib.suppress(Exception):
            if playwright is not None:
                await playwright.stop()

    async def _open(self) -> Browser:
        async with self._starting:
            worn_out = self._rendered >= self._limits.pages and self._busy == 1
            if self._browser is not None and (worn_out or not self._browser.is_connected()):
                await self._end()
            if self._browser is None:
                self._rendered = 0
                self._browser = await self._launch()
            self._rendered += 1
            return self._browser

    async def _launch(self) -> Browser:
        from playwright.async_api import async_playwright

        root = hasattr(os, "geteuid") and os.geteuid() == 0
        if root:
            log.warning("Chromium has no sandbox when it runs as root: run as another user to render strangers' pages.")
        self._playwright = await async_playwright().start()
        return await self._playwright.chromium.launch(
            executable_path=browser_path(), headless=True, chromium_sandbox=not root, args=list(_NO_NETWORK)
        )

    async def _html(self, resource: Resource) -> str:
        browser = await self._open()
        context = await browser.new_context(
            user_agent=self._fetcher.user_agent,
            service_workers="block",
            accept_downloads=False,
            ignore_https_errors=False,
            permissions=[],
        )
        visit = None
        try:
            page = await context.new_page()
            visit = _Visit(
                fetcher=self._fetcher, sites=self._sites, resource=resource, page=page, most=self._limits.requests
            )
            await context.route("**/*", visit.answer)
            await context.route_web_socket("**/*", lambda socket: socket.close())
            context.on("page", lambda other: None if other is page else asyncio.ensure_future(other.close()))
            await page.goto(resource.uri, wait_until="domcontentloaded", timeout=self._limits.whole_s * 1000)
            with contextlib.suppress(Exception):
                await page.wait_for_load_state("networkidle", timeout=self._limits.quiet_s * 1000)
            if not page.url.startswith(("http://", "https://")):
                raise RuntimeError("the page went away")
            return await page.content()
        finally:
            self._cuts["requests"] += visit is not None and visit.asked > visit.most
            with contextlib.suppress(Exception):
                await context.close()


@dataclass(kw_only=True)
class _Visit:
    """Answers the requests of one page. Without slots: Playwright marks the object whose method it is given."""

    fetcher: Fetcher
    sites: Sites
    resource: Resource
    page: Page
    most: int
    asked: int = 0
    given: bool = False

    async def answer(self, route: Route) -> None:
        with contextlib.suppress(Exception):  # a page that is closing answers nothing
            await self._answer(route)

    async def _answer(self, route: Route) -> None:
        request = route.request
        if request.is_navigation_request():
            if self.given or request.frame != self.page.main_frame:
                await route.fulfill(
                    status=204
                )  # "no content": the page stays; an abort would put an error in its place
                return
            self.given = True
            await route.fulfill(status=200, body=self.resource.body or b"", headers=self._head())
            return
        self.asked += 1
        uri = urls.normalise(request.url, keep_tracking=True)
        if not uri or request.method != "GET" or request.resource_type in _USELESS or self.asked > self.most:
            await route.abort("blockedbyclient")
            return
        if (await self.sites.robots(uri)).refuses(uri):
            await route.abort("blockedbyclient")
            return
        got = await self.fetcher.fetch(uri, accept="*/*")
        if isinstance(got, Skipped):
            await (route.fulfill(status=got.status, body="") if got.status else route.abort("failed"))
            return
        await route.fulfill(status=200, body=got.body or b"", headers=_head_of(got))

    def _head(self) -> dict[str, str]:
        return _head_of(self.resource)


def _head_of(resource: Resource) -> dict[str, Any]:
    content_type = resource.media_type or "text/html"
    if resource.charset:
        content_type += f"; charset={resource.charset}"
    # What a page loads from another host of its own is meant for it; nothing of ours goes along.
    return {"Content-Type": content_type, "Access-Control-Allow-Origin": "*"}


def _failed(resource: Resource, rule: str, detail: str) -> Skipped:
    return Skipped(uri=resource.uri, rule=rule, outcome="failed", detail=detail, depth=resource.depth)
