"""The ledger as other rooms see it: each verb is one durable call."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from connectors.errors import FatalError, UsageError
from connectors.ledger import approvals, debts, lease, pages, rehearsal, reports, runs, visits
from connectors.ledger.frontier import StoredFrontier
from connectors.ledger.pack import to_ms
from connectors.ledger.sending import Sending
from connectors.ledger.writer import Writer
from connectors.private import make_private

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from connectors.ledger.approvals import Waiting
    from connectors.ledger.database import Connection
    from connectors.ledger.debts import Owed
    from connectors.ledger.reports import Highlights
    from connectors.ledger.values import (
        BatchRow,
        Counts,
        Failure,
        Held,
        Met,
        PageRow,
        Purpose,
        Run,
        RunRow,
        SourceStatus,
        Verdict,
        Visit,
    )
    from connectors.models import Draft, Due, Extracted, Resource, Skipped, Stamp

T = TypeVar("T")
_CHUNK = 200


class Ledger:
    """What was seen, what is due, what became of it. Make one with `open_ledger`; close it."""

    def __init__(self, url: str, *, clock: Stamp, beat_s: float, stale_s: float) -> None:
        self.url = url
        self.stale_s = stale_s
        self._clock = clock
        self._writer = Writer(url, now_ms=self._now, beat_s=beat_s)
        self.sending = Sending(self._writer, self._now)
        self._frontiers: dict[int, StoredFrontier] = {}
        self._open: dict[int, Run] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the leases back (their runs stay resumable) and close the database."""
        for run in list(self._open.values()):
            try:
                await self.release(run)
            except FatalError:
                self._open.pop(run.id, None)
        await self._writer.close()

    # -- runs ---------------------------------------------------------------------------------------------------------

    async def begin(
        self,
        *,
        source: str,
        kind: str,
        origin: str,
        destination: str,
        options: dict[str, Any],
        purpose: Purpose,
        config: str = "",
    ) -> Run:
        """Take the source's lease and begin a run, or go on with the one that nobody finished.

        Args:
            config: the fingerprint of the cleaning. A URI last cleaned by another comes without its validators,
                so that it is read and cleaned anew.
            purpose: ``retry`` and ``verify`` crawl nothing: they neither resume nor end an unfinished import or sync.

        Raises:
            UsageError: a process that lives works on this source.
            FatalError: the state cannot be written.
        """
        me = lease.myself(now_ms=self._now())
        run = await self._writer.call(
            partial(
                runs.begin,
                source=source,
                kind=kind,
                origin=origin,
                destination=destination,
                options=options,
                purpose=purpose,
                config=config,
                me=me,
                now=self._now(),
                stale_s=self.stale_s,
            )
        )
        self._writer.keep(run.source_id, me.token)
        self._open[run.id] = run
        return run

    async def begin_retry(self, *, source: str, destination: str) -> Run:
        """Take the lease of a source to settle what it left open; an unfinished import or sync stays resumable.

        Raises:
            UsageError: nothing is known of the source, or a process that lives works on it.
        """
        known = [row for row in await self.status() if (row.name, row.destination) == (source, destination)]
        if not known:
            raise UsageError(f"Nothing was imported under the name {source!r} yet: `persona-ingest status` lists them.")
        return await self.begin(
            source=source,
            kind=known[0].kind,
            origin=known[0].origin,
            destination=destination,
            options=dict(known[0].options),
            purpose="retry",
        )

    async def finish(self, run: Run, *, state: str, complete: bool, summary: dict[str, Any]) -> None:
        """Close the run and give the lease back; ``complete`` says that the whole source was seen."""
        now = self._now()
        await self._write(run, partial(runs.finish, run=run, state=state, complete=complete, summary=summary, now=now))
        self._forget(run)

    async def release(self, run: Run) -> None:
        """Give the lease back and leave the run for the next process to go on with."""
        await self._write(run, partial(runs.release, run=run, now=self._now()))
        self._forget(run)

    async def holds(self, run: Run) -> bool:
        """Say whether the lease is still ours."""
        try:
            await self._writer.call(lambda _: None, source=run.source_id)
        except FatalError:
            return False
        return True

    # -- what is read -------------------------------------------------------------------------------------------------

    def frontier(self, run: Run) -> StoredFrontier:
        """Return the run's durable frontier; whoever asks again gets the same one."""
        if run.id not in self._frontiers:
            self._frontiers[run.id] = StoredFrontier(self._writer, run)
        return self._frontiers[run.id]

    async def known(self, run: Run, uri: str) -> Due | None:
        """Return the validators of the last version of a URI, None when it never was read."""
        return await self._read(partial(visits.known, run=run, uri=uri))

    async def visited(self, run: Run, uri: str) -> str | None:
        """Return the outcome of a URI so far."""
        return await self._read(partial(visits.outcome, run=run.id, uri=uri))

    async def skip(self, run: Run, item: Skipped) -> None:
        """Record an item that was passed over or failed."""
        await self._write(run, partial(visits.skip, run=run.id, item=item, now=self._now()))

    async def same(self, run: Run, resource: Resource, config: str) -> tuple[str, ...] | None:
        """Return the links that a resource had last time, when it is proved to be the same: not modified, or the same
        bytes and cleaning. None when it is to be cleaned.

        Nothing is recorded: its links come first, then `unchanged`. Else a crash in between would lose the links.
        """  # noqa: D205 - one sentence
        if resource.body is not None:
            if run.first:
                return None
        elif (links := self.links_at_hand(run, resource)) is not None:
            return links
        return await self._read(partial(pages.same, run=run, resource=resource, config=config))

    def links_at_hand(self, run: Run, resource: Resource) -> tuple[str, ...] | None:
        """Return what `same` would, where that is known without asking the database: for a page that the frontier gave
        out lately and that answered "not modified".
        """  # noqa: D205 - one sentence
        return self.frontier(run).links_at_hand(resource.uri) if resource.body is None else None

    async def unchanged(self, run: Run, *resources: Resource) -> None:
        """Record resources that `same` proved to be as they were."""
        await self._write(run, partial(pages.unchanged, run=run, met=resources, now=self._now()))

    async def record(
        self,
        run: Run,
        resource: Resource,
        extracted: Extracted,
        drafts: Sequence[Draft],
        *,
        config: str,
        hold: bool = False,
        canonical: str = "",
    ) -> list[Verdict]:
        """Record a cleaned resource; what is new or changed is frozen as pending in the same transaction.

        With ``hold`` the pages wait for `held` and `release_page` or `drop`; ``canonical`` is what `held` gives back
        with them. Without drafts the pages are those of ``extracted``.
        """
        return await self._write(
            run,
            partial(
                pages.record,
                run=run,
                resource=resource,
                extracted=extracted,
                drafts=drafts,
                config=config,
                hold=hold,
                canonical=canonical,
                now=self._now(),
            ),
        )

    async def fail(self, run: Run, resource: Resource, extracted: Extracted) -> None:
        """Record a resource that gave no page, under the rule that ``extracted.problem`` names."""
        await self._write(run, partial(pages.fail, run=run, resource=resource, extracted=extracted, now=self._now()))

    async def held(self, run: Run) -> AsyncIterator[Held]:
        """Yield the pages that wait; each may be released or dropped while this goes on."""
        after = 0
        while chunk := await self._read(partial(pages.held, run=run, after=after, most=_CHUNK)):
            for after, item in chunk:  # noqa: B007 - the last one is where the next chunk begins
                yield item

    async def release_page(self, run: Run, draft: Draft) -> Verdict:
        """Record a page that was held, as it is to be sent."""
        return await self._write(run, partial(pages.release_page, run=run, draft=draft, now=self._now()))

    async def drop(self, run: Run, uri: str, rule: str, detail: str = "") -> None:
        """Give up a page that was held."""
        await self._write(run, partial(pages.drop, run=run, uri=uri, rule=rule, detail=detail))

    async def repeated_blocks(self, run: Run) -> frozenset[int]:
        """Return the blocks (unsigned 64-bit) that stand on most pages of this run; none for fewer than five pages."""
        return await self._read(partial(reports.repeated_blocks, run=run))

    # -- what is said about it ----------------------------------------------------------------------------------------

    async def counts(self, run: Run) -> Counts:
        """Count everything the run's summary says."""
        return await self._read(partial(reports.counts, run=run))

    async def pages(self, run: Run, *, only: str = "", text: bool = True, every: int = 1) -> AsyncIterator[PageRow]:
        """Yield the source's live pages, or with ``only="brought"`` those that this run found new or changed.

        Args:
            text: with their texts; else ``content`` is empty, which costs a fraction.
            every: of so many pages about one, the first of all among them.
        """
        ask = partial(reports.some_pages, run=run, only=only, text=text)
        chunk = await self._read(partial(ask, after=0, most=1 if every > 1 else _CHUNK))
        while chunk:
            for row in chunk:
                yield row
            chunk = await self._read(partial(ask, after=chunk[-1].page_id, most=_CHUNK, every=every))

    async def how_many(self, run: Run, *, only: str = "") -> int:
        """Return how many pages `pages` yields."""
        return await self._read(partial(reports.how_many, run=run, only=only))

    async def blocks(self, run: Run, uri: str) -> tuple[int, ...]:
        """Return the text blocks (unsigned 64-bit) of the page under a URI; none when there is no such page."""
        return await self._read(partial(reports.blocks, run=run, uri=uri))

    async def failures(self, run: Run) -> list[Failure]:
        """Return what went wrong: failed URIs of the run, and pages of the source in quarantine."""
        return await self._read(partial(reports.failures, run=run))

    async def highlights(self, run: Run, *, slowest: int, most: int) -> Highlights:
        """Return the run's ``slowest`` addresses, and up to ``most`` of its findings and of its removed pages."""
        return await self._read(partial(reports.highlights, run=run, slowest=slowest, most=most))

    async def batches(self, run: Run) -> list[BatchRow]:
        """Return the run's batches in order."""
        return await self._read(partial(reports.batch_rows, run=run))

    async def runs(self, *, source_id: int | None = None, most: int = 50) -> list[RunRow]:
        """Return runs, the newest first."""
        return await self._read(partial(reports.run_rows, source_id=source_id, most=most))

    async def status(self) -> list[SourceStatus]:
        """Return every source with its pages, batches and last run."""
        return await self._read(partial(reports.status, now=self._now(), stale_s=self.stale_s))

    async def source_names(self, destination: str) -> list[str]:
        """Return the names of a destination's sources."""
        return [row.name for row in await self.status() if row.destination == destination]

    async def sources_due(self, destination: str, *, quarantined: str = "") -> list[str]:
        """Return the sources with something to settle or send; with ``quarantined`` (a URI, a source or ``all``)
        also those with such pages in quarantine.
        """  # noqa: D205 - one sentence
        return await self._read(partial(reports.sources_due, destination=destination, quarantined=quarantined))

    async def quarantined(self, destination: str) -> list[str]:
        """Return the URIs of a destination's pages in quarantine."""
        return await self._read(partial(reports.quarantined, destination=destination))

    async def unquarantine(self, run: Run, which: str) -> int:
        """Take pages (a URI, the source's name or ``all``) out of quarantine; they are due again."""
        return await self._write(run, partial(pages.unquarantine, run=run, which=which))

    async def met(self, destination: str) -> list[Met]:
        """Return every address that the last crawl of each source met."""
        return await self._read(partial(reports.met, destination=destination))

    async def rewritten(self, run: Run) -> list[tuple[str, str, str]]:
        """Return address, delivered text and new text of each page that this run found changed."""
        return await self._read(partial(rehearsal.rewritten, run=run))

    async def waiting(self, run: int | None = None) -> list[Waiting]:
        """Return the runs that wait for a person: all, or the one with this number."""
        return await self._read(partial(approvals.waiting, run=run))

    async def decide(self, run: int, *, state: str) -> bool:
        """Write down what a person decided of a waiting run; False when it does not wait (any more)."""
        return await self._read(partial(approvals.decide, run=run, state=state))

    async def explain(self, uri: str) -> list[Visit]:
        """Return what became of a URI in each run that met it, the newest first."""
        return await self._read(partial(reports.explain, uri=uri))

    async def keep_prompts(self, run: Run, topics: Sequence[str], prompts: Sequence[str]) -> None:
        """Keep what auto-generate-prompts answered."""
        await self._write(run, partial(reports.keep_prompts, run=run, topics=topics, asked=prompts, now=self._now()))

    async def kept_prompts(self, run: Run) -> list[str]:
        """Return the prompts kept for this run."""
        return await self._read(partial(reports.kept_prompts, run=run))

    async def owe_prompts(self, run: Run, calls: Sequence[Sequence[str]], *, context: str) -> None:
        """Keep calls of auto-generate-prompts, by their topics, that were not answered and are to be made again."""
        await self._write(run, partial(debts.owe_prompts, run=run, calls=calls, context=context, now=self._now()))

    async def owed_prompts(self, run: Run) -> list[Owed]:
        """Return the calls that the source's runs left to be made again, the oldest first."""
        return await self._read(partial(debts.owed_prompts, run=run))

    async def settle_prompts(self, run: Run, owed: Owed, answer: Sequence[str]) -> None:
        """Keep what a call answered that was owed."""
        await self._write(run, partial(debts.settle_prompts, run=run, owed=owed, answer=answer, now=self._now()))

    async def keep_findings(self, run: Run, findings: Sequence[tuple[str, str, str]]) -> None:
        """Keep findings that were submitted for review, each as URI, article and note."""
        await self._write(run, partial(reports.keep_findings, run=run, found=findings, now=self._now()))

    # -- how ----------------------------------------------------------------------------------------------------------

    def _now(self) -> int:
        return to_ms(self._clock())

    async def _read(self, function: Callable[[Connection], T]) -> T:
        return await self._writer.call(function)

    async def _write(self, run: Run, function: partial[T], *, synced: bool = False) -> T:
        return await self._writer.write(function, source=run.source_id, synced=synced)

    def _forget(self, run: Run) -> None:
        self._writer.forget(run.source_id)
        self._open.pop(run.id, None)
        self._frontiers.pop(run.id, None)


def open_ledger(
    url: str, *, clock: Stamp | None = None, beat_s: float = lease.BEAT_S, stale_s: float = lease.STALE_S
) -> Ledger:
    """Open a ledger and bring its schema up to date.

    Args:
        url: ``sqlite:///FILE`` (its folder is made) or ``postgresql://USER:PASSWORD@HOST/DATABASE``.
        stale_s: how long a holder on another host may be silent before its source is taken over.

    Raises:
        FatalError: the state cannot be written, or a newer program wrote it.
    """
    from connectors.ledger.clock import utc_now

    if url.startswith("sqlite:///"):
        file = Path(url.removeprefix("sqlite:///").partition("?")[0])
        try:
            make_private(file)
        except OSError as error:
            raise FatalError(
                f"The state folder {file.parent} cannot be made: {error.strerror}. Use another --state."
            ) from error
    return Ledger(url, clock=clock or utc_now, beat_s=beat_s, stale_s=stale_s)
