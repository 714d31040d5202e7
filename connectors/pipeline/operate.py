"""What operators do between runs: preview, retry, verify, probe, approve, reject, status, explain."""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from connectors import errors
from connectors.models import CleaningRules, Resource, Skipped
from connectors.pipeline import parts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from connectors.ledger import Ledger, Run, SourceStatus, Visit
    from connectors.ledger.approvals import Waiting
    from connectors.models import Extracted
    from connectors.pipeline.probe import Probed
    from connectors.pipeline.reconcile import Coverage
    from connectors.settings import DeliveryOptions, DocumentsSource, PersonaSettings, WebsiteSource
    from connectors.state import StateSettings
    from connectors.web.fetcher import Fetcher


def source_for(target: str, **options: Any) -> WebsiteSource | DocumentsSource:
    """Make the source that an address or a path names: a website for ``http(s)://``, else documents.

    Raises:
        UsageError: it is neither an address nor an existing file or folder.
    """
    from connectors.settings import DocumentsSource, WebsiteSource

    scheme = urlsplit(target).scheme.lower()
    if scheme in {"http", "https"}:
        return WebsiteSource(website=target, **options)
    if len(scheme) > 1 and "://" in target:
        if scheme != "file":
            from connectors.sources.documents_remote import check_address

            check_address(target)  # before there is a run
        return DocumentsSource(documents=target, **options)
    path = Path(target).expanduser()
    if not path.exists():
        hint = f" Did you mean https://{target} ?" if "." in target and not target.startswith((".", "/")) else ""
        raise errors.UsageError(f"{target!r} is neither a web address nor an existing file or folder.{hint}")
    return DocumentsSource(documents=str(path), **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A page object as it would be sent, and why it looks as it does.

    ``page`` is None when nothing would be sent; ``reason`` then says which rule decided.
    """

    uri: str
    pages: list[dict[str, Any]]
    reason: str
    detail: str
    report: dict[str, Any]
    links: int


async def preview(source: WebsiteSource | DocumentsSource) -> Preview:
    """Read and clean one page or file; nothing is stored or sent.

    Raises:
        UsageError: the address or file cannot be read, and why.
    """
    from connectors.extractors import tidy, work

    resource = await _read_one(source)
    if isinstance(resource, Skipped):
        return Preview(uri=resource.uri, pages=[], reason=resource.rule, detail=resource.detail, report={}, links=0)
    rules = CleaningRules(select=source.select, remove=source.remove)
    extracted: Extracted = await asyncio.to_thread(work.extract, resource, rules)
    reason = extracted.problem
    if not reason and (extracted.noindex or "noindex" in " ".join(resource.robots).lower()):
        reason = "noindex"
    return Preview(
        uri=resource.uri,
        pages=[
            {"title": page.title, "content": tidy.draft(page, rules).content, "metadata": dict(page.metadata)}
            for page in extracted.pages
            if not reason
        ],
        reason=reason,
        detail=extracted.detail,
        report={**extracted.report, "flags": [flag for page in extracted.pages for flag in page.flags]},
        links=len(extracted.links),
    )


async def _read_one(source: WebsiteSource | DocumentsSource) -> Resource | Skipped:
    from connectors.settings import DocumentsSource

    if isinstance(source, DocumentsSource):
        return await asyncio.to_thread(_read_file, Path(source.documents))
    headers = parts.header_values(source.header, os.environ)
    fetcher = parts.open_fetcher(source, headers, source.website)
    try:
        return await _read_page(source.website, fetcher)
    finally:
        await fetcher.aclose()


async def _read_page(address: str, fetcher: Fetcher) -> Resource | Skipped:
    """Return a page as a crawl would read it: what robots.txt forbids is not asked for."""
    from connectors.web.sites import Sites
    from connectors.web.urls import normalise

    sites = Sites(fetcher)
    uri = normalise(address)
    rule = (await sites.robots(uri)).refuses(uri)
    if rule != "robots":
        answer = await fetcher.fetch(uri)
        if isinstance(answer, Skipped):
            raise errors.UsageError(f"{address} cannot be previewed: {answer.detail or answer.rule}.")
        uri = answer.uri
        rule = (await sites.robots(uri)).refuses(uri)
        if not rule:
            return answer
    why = "forbids it" if rule == "robots" else "cannot be read, and then nothing may be"
    return Skipped(uri=uri, rule=rule, detail=f"The site's robots.txt {why}.")


def _read_file(path: Path) -> Resource:
    if path.is_dir():
        raise errors.UsageError(f"{path} is a folder; preview takes one page or one file.")
    uri = path.resolve().as_uri()
    return Resource(
        uri=uri, requested_uri=uri, media_type=mimetypes.guess_type(path.name)[0] or "", body=path.read_bytes()
    )


@dataclass(slots=True, kw_only=True)
class Settled:
    """What `retry` or `verify` found and did, over all sources of a destination.

    Each source's coverage is its own; ``ok`` says whether everything due is in the knowledge base exactly once.
    """

    sources: dict[str, Coverage] = field(default_factory=dict)
    delivered: int = 0
    still_failing: int = 0
    quarantined: list[str] = field(default_factory=list)
    prompts: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Everything that was due is verified, nothing is quarantined, no prompts are owed."""
        arrived = all(c.verified >= c.due and not c.quarantined for c in self.sources.values())
        return arrived and not self.still_failing and not self.quarantined and not self.problems

    def summary(self) -> dict[str, Any]:
        """Return the JSON that `retry` and `verify` print."""
        return {
            "ok": self.ok,
            "delivered": self.delivered,
            "failing": self.still_failing,
            "quarantined": self.quarantined,
            "prompts": self.prompts,
            "problems": self.problems,
            "sources": {name: asdict(coverage) for name, coverage in self.sources.items()},
        }


@contextlib.asynccontextmanager
async def opened(
    persona: PersonaSettings, state: StateSettings, options: DeliveryOptions | None = None
) -> AsyncIterator[tuple[Ledger, parts.Destination]]:
    """Have the ledger and the knowledge base open, and close them again."""
    from connectors.settings import SourceOptions

    calls = SourceOptions(timeout=options.timeout) if options else None
    async with contextlib.AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(parts.open_ledger(state))
        destination = await parts.open_destination(calls, persona=persona, state=state)
        stack.push_async_callback(destination.client.close)
        yield ledger, destination


@contextlib.asynccontextmanager
async def taken(ledger: Ledger, source: str, destination: parts.Destination) -> AsyncIterator[Run]:
    """Hold a source's lease for as long as something is done to it between its runs.

    Raises:
        UsageError: nothing is known of the source, or a run works on it.
    """
    run = await ledger.begin_retry(source=source, destination=destination.key)
    try:
        yield run
    finally:
        await ledger.release(run)


async def retry(
    *,
    persona: PersonaSettings,
    state: StateSettings,
    options: DeliveryOptions | None = None,
    quarantined: str = "",
) -> Settled:
    """Settle what is unknown by reading back, then send again what did not arrive, for every source.

    Prompts that an import or sync asked for and did not get are asked for again.

    Args:
        quarantined: a URI, a source's name or ``all``: these pages are taken out of quarantine and sent again.

    Raises:
        UsageError: no page of that address, or of that source, is in quarantine.
        FatalError: the API refuses us.
    """
    from connectors.pipeline import enriching
    from connectors.pipeline.deliver import Delivery
    from connectors.settings import DeliveryOptions

    settled = Settled()
    async with opened(persona, state, options) as (ledger, destination):
        delivery = Delivery(ledger, destination.client, options or DeliveryOptions())
        quarantined = await _named(ledger, destination.key, quarantined)
        for name in await ledger.sources_due(destination.key, quarantined=quarantined):
            async with taken(ledger, name, destination) as run:
                if quarantined:
                    await ledger.unquarantine(run, quarantined)
                for head in await delivery.due(run):
                    outcome = await delivery.deliver(run, head.id)
                    settled.delivered += outcome.pages if outcome.state == "delivered" else 0
                    settled.still_failing += outcome.state != "delivered"
                await delivery.change(run)
                settled.sources[name] = await delivery.verify(run)
                try:
                    settled.prompts += len(await enriching.ask_again(ledger, run, destination.client))
                except errors.RetryableError as error:
                    settled.problems.append(f"{name}: prompts: {error}")
        settled.quarantined = await ledger.quarantined(destination.key)
    return settled


async def _named(ledger: Ledger, destination: str, quarantined: str) -> str:
    """Return what the ledger knows by this name: as it is, or an address as a crawl would write it."""
    from connectors.web.urls import normalise

    refused = await ledger.quarantined(destination)
    names = {"", "all", *refused, *await ledger.source_names(destination)}
    for name in (quarantined, normalise(quarantined)):
        if name in names:
            return name
    listed = ", ".join(refused[:5]) or "none"
    raise errors.UsageError(f"No page in quarantine is called {quarantined!r}. In quarantine: {listed}.")


async def verify(
    *, persona: PersonaSettings, state: StateSettings, repair: bool = False, options: DeliveryOptions | None = None
) -> Settled:
    """Compare the training data with the ledger; with ``repair`` make them equal.

    Raises:
        FatalError: the API refuses us.
    """
    from connectors.pipeline.deliver import Delivery
    from connectors.settings import DeliveryOptions

    settled = Settled()
    async with opened(persona, state, options) as (ledger, destination):
        delivery = Delivery(ledger, destination.client, options or DeliveryOptions())
        for name in await ledger.source_names(destination.key):
            async with taken(ledger, name, destination) as run:
                settled.sources[name] = await delivery.verify(run, repair=repair)
        settled.quarantined = await ledger.quarantined(destination.key)
    return settled


async def probe(*, persona: PersonaSettings, state: StateSettings, options: DeliveryOptions | None = None) -> Probed:
    """Store one marked page, watch until it appears, delete it; what that showed sets the settling time from now on.

    Raises:
        RefusedError, RetryableError: the API does not take even one page.
        FatalError: the API refuses us.
    """
    from connectors.pipeline.probe import probe as watch

    async with opened(persona, state, options) as (ledger, destination):
        return await watch(ledger, destination.client, destination=destination.key)


async def approve(
    run_id: int, *, persona: PersonaSettings, state: StateSettings, only: Collection[str] | None = None
) -> dict[str, Any]:
    """Carry out what a guarded run waits for: all of it, or only some addresses of its list.

    Raises:
        UsageError: the run does not wait.
        FatalError: the API refuses us.
    """
    from connectors.pipeline.deliver import Delivery
    from connectors.settings import DeliveryOptions

    async with opened(persona, state) as (ledger, destination):
        waiting = await _waiting(ledger, run_id, destination.key)
        listed = {page["uri"] for page in waiting.summary.get("approval", {}).get("pages", ())}
        agreed = listed if only is None else listed & set(only)
        async with taken(ledger, waiting.source, destination) as run:
            delivery = Delivery(ledger, destination.client, DeliveryOptions())
            changes = await delivery.change(run, approved=agreed)
            if only is not None:
                await ledger.sending.pardon(run)
            coverage = await delivery.verify(run)
            await ledger.decide(run_id, state="approved")
    return {
        "run": str(run_id),
        "source": waiting.source,
        "updated": changes.updated,
        "deleted": changes.deleted,
        "failed": changes.failed,
        "verified": coverage.verified,
        "due": coverage.due,
    }


async def reject(run_id: int, *, persona: PersonaSettings, state: StateSettings) -> dict[str, Any]:
    """Leave what a guarded run waits for as it is; the evidence against its pages is forgotten.

    Raises:
        UsageError: the run does not wait.
    """
    async with opened(persona, state) as (ledger, destination):
        waiting = await _waiting(ledger, run_id, destination.key)
        async with taken(ledger, waiting.source, destination) as run:
            kept = await ledger.sending.pardon(run)
            await ledger.decide(run_id, state="rejected")
    return {"run": str(run_id), "source": waiting.source, "kept": kept}


async def _waiting(ledger: Ledger, run_id: int, destination: str) -> Waiting:
    for found in await ledger.waiting(run_id):
        if found.destination == destination:
            return found
    others = ", ".join(str(found.run) for found in await ledger.waiting()) or "none"
    raise errors.UsageError(f"Run {run_id} does not wait for approval. Runs that do: {others}.")


async def status(*, state: StateSettings) -> list[SourceStatus]:
    """Return a row for each source: pages, last run, batches by state."""
    async with parts.open_ledger(state) as ledger:
        return await ledger.status()


async def explain(url: str, *, state: StateSettings) -> list[Visit]:
    """Return what became of a URL, or of the file at a path, in each run, newest first, and by which rule."""
    async with parts.open_ledger(state) as ledger:
        return await ledger.explain(_uri_of(url))


def _uri_of(url: str) -> str:
    from connectors.web.urls import normalise

    return normalise(url) or (url if urlsplit(url).scheme else Path(url).expanduser().resolve().as_uri())
