"""Source: a website, crawled from its start address."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from connectors.errors import UsageError
from connectors.models import Found, Resource, Skipped
from connectors.web import urls
from connectors.web.crawl import Crawl, Rules
from connectors.web.fetcher import Ask, Redirect
from connectors.web.frontier import Frontier
from connectors.web.media import is_wanted, passed_over_by_name
from connectors.web.sites import Sites
from connectors.web.traps import TrapLimits, Traps

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from connectors.models import Due, Kind
    from connectors.settings import WebsiteSource
    from connectors.web.fetcher import Fetcher
    from connectors.web.frontier import FrontierStore

log = logging.getLogger(__name__)

MAX_LINKS = 50_000
"""The most links that are followed from one page."""
_MAX_START_HOPS = 10


class Website:
    """Every page and document in scope that the start page, its links and the site's sitemaps lead to.

    Args:
        options: where it starts and what belongs to it.
        fetcher: made with the start address among its ``allowed``.
        store: where found addresses wait; a durable one resumes where it was.
        known: the validators of an address' last version, so that an unchanged start page costs a 304 too.
        limits: where traps begin.

    Raises:
        UsageError: a glob is wrong, or the start address is kept out by its own globs.
    """

    kind: ClassVar[Kind] = "website"

    def __init__(
        self,
        options: WebsiteSource,
        *,
        fetcher: Fetcher,
        store: FrontierStore,
        limits: TrapLimits | None = None,
        known: Callable[[str], Awaitable[Due | None]] | None = None,
    ) -> None:
        self._options = options
        self._known = known
        self._fetcher = fetcher
        asked = urls.normalise(options.website)
        self._start = urls.without_tokens(asked)
        self._wire = {self._start: asked}  # a token goes to the site, and not into the ledger or a page's address
        if not self._start:
            raise UsageError(f"{options.website!r} is no web address: write it like https://docs.example.com/")
        self._scope = urls.Scope(self._start, options.scope, include=options.include, exclude=options.exclude)
        if self._scope.refusal(self._start) == "excluded":
            raise UsageError(f"The start address {urls.redact(self._start)} is excluded by your own globs: change one.")
        self._frontier = Frontier(store)
        self.cuts: Counter[str] = Counter()
        """What a bound cut off that is no address with an outcome, by the bound's name."""
        self._sites = Sites(fetcher, cuts=self.cuts)
        self._traps = Traps(limits)
        self._crawl: Crawl | None = None

    async def read(self) -> AsyncGenerator[Resource | Skipped]:
        """Yield each address in scope once; see `models.Source`.

        Raises:
            UsageError: the start page does not resolve, refuses, answers an error or is no page.
        """
        fresh = bool(await self._frontier.add([Found(uri=self._start, by="start")]))
        try:
            answers = await self._examine_start()
        except UsageError:
            if fresh:
                raise
            answers = {}  # a resumed run reached the site before: its pages will say what is wrong now
        self._crawl = crawl = Crawl(
            fetcher=self._fetcher,
            frontier=self._frontier,
            sites=self._sites,
            rules=Rules(belongs=self._belongs, refusal=self._refusal, saw=self._saw, max_pages=self._options.max_pages),
            answers=answers,
        )
        crawl.seed(lambda: self._seed(crawl))
        items = crawl.items()
        try:
            async for item in items:
                yield self._marked(item) if self._options.include and isinstance(item, Resource) else item
        finally:
            await items.aclose()
            await self._sites.aclose()

    async def learn(self, resource: Resource, links: tuple[str, ...]) -> None:
        """Follow the links of a Resource that ``read`` yielded."""
        await self.learn_together([(resource, links)])

    async def learn_together(self, met: Sequence[tuple[Resource, tuple[str, ...]]]) -> None:
        """Do what `learn` does for each of some Resources, in one step."""
        assert self._crawl is not None, "learn comes after read"
        found: dict[str, Found] = {}
        for resource, links in met:
            for link in self._news(resource, links):
                if link not in found:
                    found[link] = Found(uri=link, by="link", depth=resource.depth + 1, via=resource.uri)
        await self._crawl.learned(list(found.values()), of=len(met))

    def _news(self, resource: Resource, links: tuple[str, ...]) -> list[str]:
        """Return the links that are to be followed and were not met yet: most of a page's stand on the page before."""
        if len(links) > MAX_LINKS:
            self.cuts["MAX_LINKS"] += 1
            log.warning("%s has %d links; the first %d are followed", urls.redact(resource.uri), len(links), MAX_LINKS)
            links = links[:MAX_LINKS]
        if "nofollow" in resource.robots:
            return []
        news = list(self._scope.within(self._frontier.unseen(links)))  # few are unseen, and only of these it is asked
        if "--scope" not in self.cuts:  # told where no page but the first was met: the site may name itself otherwise
            self.cuts["--scope"] = sum(not self._scope.contains(link) for link in links)
        return news

    async def fetch_alternate(self, uri: str) -> Resource | Skipped:
        """Fetch a page's own Markdown, which is no address of the crawl; Skipped where it is not there or no text."""
        form = urls.normalise(uri)
        if not form:
            return Skipped(uri=uri, rule="bad-url")
        if rule := (await self._sites.robots(form)).refuses(form):
            return Skipped(uri=form, rule=rule)
        return await self._fetcher.fetch(
            form,
            accept="text/markdown,text/plain;q=0.9",
            wanted=lambda media_type: media_type.startswith("text/") and media_type != "text/html",
        )

    def _marked(self, resource: Resource) -> Resource:
        """A start page that no ``include`` glob names is read for its links only."""
        if self._scope.refusal(resource.uri) == "not-included":
            return replace(resource, robots=(*resource.robots, "noindex"))
        return resource

    def _belongs(self, uri: str) -> bool:
        return self._scope.contains(uri)

    def _refusal(self, due: Due) -> str:
        """Return the rule that keeps an address from being requested, robots.txt aside."""
        if due.by != "start" and (rule := self._scope.refusal(due.uri)):
            return rule
        if passed_over_by_name(due.uri):
            return "media"
        if self._options.max_depth is not None and due.depth > self._options.max_depth:
            return "max-depth"
        return self._traps.refusal(due.uri, depth=due.depth)

    def _saw(self, resource: Resource) -> None:
        if resource.body and resource.media_type in {"text/html", "application/xhtml+xml", ""}:
            self._traps.saw(resource.uri, resource.body, depth=resource.depth)

    async def _seed(self, crawl: Crawl) -> None:
        """Add what the sitemaps list, beside the crawl."""
        said = await self._sites.robots(self._start)
        if said.refusal:
            return
        named = [form for location in said.sitemaps if (form := urls.normalise(location, self._start))]
        root = urls.origin(self._start)
        guesses = (f"{root}/sitemap.xml", f"{root}{urls.folder_of(self._start)}sitemap.xml")
        locations = dict.fromkeys(named, True) | {
            guess: False for guess in guesses if guess not in named and not said.refuses(guess)
        }
        async for listed in self._sites.listed(locations):
            if isinstance(listed, Skipped):
                await crawl.report(listed)
            else:
                await crawl.add([found for found in listed if self._scope.contains(found.uri)])

    async def _examine_start(self) -> dict[str, Resource | Redirect | Skipped]:
        """Fetch the start page before anything else and settle the scope by where it really is."""
        answers: dict[str, Resource | Redirect | Skipped] = {}
        at = self._start
        for _ in range(_MAX_START_HOPS + 1):
            said = await self._sites.robots(at)
            if said.refuses(self._wire.get(at, at)):
                self._raise_if_gone(at)
                return answers
            got = await self._fetch_start(at)
            answers[at] = got
            if isinstance(got, Skipped):
                raise UsageError(_start_problem(self._start, got))
            if isinstance(got, Resource):
                _must_be_a_page(got, self._start)
                return answers
            if got.to in answers:
                break
            self._follow_start(got)
            at = got.to
        raise UsageError(f"{urls.redact(self._start)} redirects in a circle: give the address of a page.")

    async def _fetch_start(self, at: str) -> Resource | Redirect | Skipped:
        """Fetch with the operator's token, and know the answer without it."""
        wire = self._wire.get(at, at)
        got = await self._fetcher.fetch_once(wire, await self._ask_for(at))
        if wire == at:
            return got
        if isinstance(got, Redirect):
            to = urls.without_tokens(got.to)
            self._wire.setdefault(to, got.to)
            return replace(got, uri=at, to=to)
        return replace(got, uri=at, requested_uri=at) if isinstance(got, Resource) else replace(got, uri=at)

    async def _ask_for(self, uri: str) -> Ask:
        known = await self._known(uri) if self._known else None
        return Ask(
            etag=known.etag if known else "",
            last_modified=known.last_modified if known else "",
            wanted=lambda media_type: is_wanted(media_type, uri),
        )

    def _raise_if_gone(self, at: str) -> None:
        """A robots.txt that cannot be asked for because nobody is there says that the address is wrong."""
        problem = self._sites.problems.get(urls.origin(at))
        if problem is not None and problem.rule in {"dns", "refused", "tls", "private-address", "bad-url"}:
            raise UsageError(_start_problem(self._start, problem))

    def _follow_start(self, hop: Redirect) -> None:
        """The site is where its start leads: to https, to its www. host, into its folder; not to a stranger."""
        same_site = urls.registrable_domain(urls.host_of(hop.to)) == urls.registrable_domain(urls.host_of(hop.uri))
        if not same_site:
            raise UsageError(
                f"{urls.redact(self._start)} redirects to another site, {urls.redact(hop.to)}: import that address."
            )
        if not self._scope.contains(hop.to) or hop.to == hop.uri + "/":
            self._scope = self._scope.at(hop.to)


def _must_be_a_page(got: Resource, start: str) -> None:
    media_type = got.media_type
    if got.body is None:
        return
    if media_type.startswith("text/") or media_type in {"", "application/xhtml+xml", "application/octet-stream"}:
        return
    if media_type == "application/json" or media_type.endswith(("+json", "/xml")):
        raise UsageError(f"{urls.redact(start)} is {media_type} and no HTML page: give the address of a page.")


_LOGIN: Final = "if it wants a login, send what it asks for: --header 'Authorization: ...'"


def _start_problem(start: str, got: Skipped) -> str:
    shown = urls.redact(start)
    advice = {
        "dns": "check the spelling of the address, and that this machine has a network",
        "refused": "check the address and the port, and that the server runs",
        "tls": "its certificate is not valid for this name; check the address",
        "timeout": "try again later, or check the address",
        "media": "give the address of a page",
        "private-address": "name that address itself if you mean it",
        "http-401": _LOGIN,
        "http-403": _LOGIN,
    }.get(got.rule, "give the address of a page that answers")
    return f"{shown} cannot be read: {got.detail or got.rule}; {advice}."
