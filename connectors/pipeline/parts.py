"""What a run is put together from: opens the ledger, the knowledge base, the worker processes and the source."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from connectors import errors
from connectors.state import StateSettings

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Callable, Mapping

    from connectors.ledger import Counts, Ledger, Run
    from connectors.models import Cleaners, Due, Resource, Skipped, Source
    from connectors.persona.client import PersonaClient
    from connectors.pipeline.progress import Progress
    from connectors.settings import AnySource, PersonaSettings, SourceOptions
    from connectors.web.fetcher import Fetcher
    from connectors.web.frontier import FrontierStore

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HEADER = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where pages go: ``key`` names it in the ledger, ``where`` in words."""

    key: str
    where: str
    client: PersonaClient


def rehearsal_state(state: StateSettings, stack: contextlib.AsyncExitStack) -> StateSettings:
    """Return settings of a throw-away state that begins as a copy: whatever a dry run writes is gone after it."""
    from connectors.ledger.rehearsal import copy_ledger

    folder = Path(tempfile.mkdtemp(prefix="persona-ingest-dry-run-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    try:
        return StateSettings(state=folder, ledger=copy_ledger(state.ledger_url(), folder))
    except OSError as error:
        raise errors.FatalError(f"The ledger could not be copied for a dry run: {error.strerror}.") from error


def open_ledger(state: StateSettings) -> Ledger:
    """Open the ledger that the settings name, made and migrated when needed.

    Raises:
        FatalError: the state cannot be written, with what to do about it.
    """
    from connectors.ledger import open_ledger as opened

    return opened(state.ledger_url())


async def open_destination(
    source: SourceOptions | None, *, persona: PersonaSettings, state: StateSettings
) -> Destination:
    """Connect to the Persona API, or to the embedded knowledge base where there is no client secret."""
    from connectors.settings import PERSONA_BASE_URL

    timeout_s = source.timeout if source else 60.0
    base_url = (source.persona_url if source else "") or persona.base_url
    elsewhere = base_url != PERSONA_BASE_URL
    if persona.client_secret is None and not elsewhere:
        from connectors.persona import server

        return Destination(
            key=EMBEDDED,
            where=f"the embedded knowledge base in {state.folder()}",
            client=server.embedded(state.folder()),
        )
    from connectors.persona.client import PersonaClient

    client = PersonaClient(
        base_url=base_url, voice_base_url=persona.voice_base_url, secret=persona.client_secret, timeout_s=timeout_s
    )
    return Destination(key=base_url.rstrip("/") + "/", where=base_url, client=client)


def open_pool() -> Cleaners:
    """Return what cleans on this machine: a process a core."""
    from connectors.extractors.pool import CleanerPool

    return CleanerPool()


def what_is_left(source: AnySource, before: Counts | None) -> AnySource:
    """Return the source with the pages that a resumed run may still fetch of its ``--max-pages``.

    Only a crawl goes on where it was; the other sources list everything anew, and count it.

    Args:
        before: what the run did until it was stopped; None for one that begins.
    """
    from connectors.settings import SitemapSource, WebsiteSource

    if source.max_pages is None or before is None or not isinstance(source, WebsiteSource | SitemapSource):
        return source
    return source.model_copy(update={"max_pages": max(0, source.max_pages - before.fetched - before.not_modified)})


async def open_frontier(ledger: Ledger, run: Run, progress: Progress) -> FrontierStore:
    """Return the run's frontier; what it holds due already, and what comes into it, is counted in ``progress``."""
    from connectors.pipeline.progress import CountedFrontier

    store = ledger.frontier(run)
    if run.resumed:
        _, progress.discovered = await store.counts()
    return CountedFrontier(store, progress)


def open_source(
    source: AnySource, *, headers: Mapping[str, str], ledger: Ledger, run: Run, frontier: FrontierStore | None = None
) -> tuple[Source, Fetcher | None]:
    """Make the reader of a source, and the fetcher it shares with the renderer where it reads from the web.

    Args:
        frontier: where a crawl's addresses wait; None: the ledger's own.
    """
    from connectors.settings import DocumentsSource, FeedSource, GitSource, SitemapSource, WebsiteSource

    async def known(uri: str) -> Due | None:
        return await ledger.known(run, uri)

    store = frontier if frontier is not None else ledger.frontier(run)
    match source:
        case WebsiteSource():
            from connectors.sources.website import Website

            fetcher = open_fetcher(source, headers, source.website)
            return Website(source, fetcher=fetcher, store=store, known=known), fetcher
        case SitemapSource():
            from connectors.sources.sitemap import Sitemap

            fetcher = open_fetcher(source, headers, source.sitemap)
            return Sitemap(source, fetcher=fetcher, store=store), fetcher
        case FeedSource():
            from connectors.sources.feed import Feed

            fetcher = open_fetcher(source, headers, source.feed)
            return Feed(source, fetcher=fetcher, known=known), fetcher
        case DocumentsSource():
            from connectors.sources.documents import Documents

            return Documents(source, known=known), None
        case GitSource():
            from connectors.sources.git import Git

            return Git(source, known=known, headers=headers), None


def open_fetcher(source: SourceOptions, headers: Mapping[str, str], origin: str) -> Fetcher:
    """Make the polite client for one source; only its own start address may be a private one."""
    from importlib.metadata import version

    from connectors.settings import default_user_agent
    from connectors.web.fetcher import Fetcher

    door = None
    if source.http2:
        from connectors.web.address_book import AddressBook
        from connectors.web.http2 import Http2Door

        door = Http2Door(AddressBook((origin,)))
    return Fetcher(
        user_agent=source.user_agent or default_user_agent(version("persona-ingest")),
        headers=headers,
        concurrency=source.concurrency,
        delay_s=source.delay,
        allowed=(origin,),
        door=door,
    )


def open_renderer(
    source: SourceOptions, fetcher: Fetcher | None, stack: contextlib.AsyncExitStack, *, cuts: Counter[str] | None
) -> Callable[[Resource], Awaitable[Resource | Skipped]] | None:
    """Return what renders a page, or None where that is not wanted or cannot be done on this machine."""
    if source.render == "never" or fetcher is None:
        return None
    with contextlib.suppress(ImportError):
        from connectors.web import render

        if render.available() or source.render == "always":
            renderer = render.Renderer(fetcher, cuts=cuts)
            stack.push_async_callback(renderer.close)
            return renderer.render
    return None


def header_values(lines: tuple[str, ...], environment: Mapping[str, str]) -> dict[str, str]:
    """Read ``Name: value`` lines; ``${NAME}`` in a value comes from the environment.

    Raises:
        UsageError: a line is no header, or names a variable that is not set.
    """
    values: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _HEADER.match(name.strip()) or any(char in value for char in "\r\n\0"):
            raise errors.UsageError(
                f"A header must read 'Name: value'; {name.strip()[:40]!r} does not. Try --header 'Accept-Language: de'."
            )
        for variable in _VARIABLE.findall(value):
            if variable not in environment:
                raise errors.UsageError(
                    f"The header {name.strip()} needs the environment variable {variable}, which is not set."
                )
        values[name.strip()] = _VARIABLE.sub(lambda match: environment[match[1]], value.strip())
    return values
