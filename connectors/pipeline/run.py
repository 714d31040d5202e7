"""Opens a run of a source: what it reads, what cleans it, where it is written down, and where its pages go."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from connectors import memory
from connectors.extractors import tidy
from connectors.models import CleaningRules
from connectors.pipeline import naming, parts
from connectors.pipeline.collect import Collector
from connectors.pipeline.deliver import Delivery
from connectors.pipeline.ingest_run import IngestRun
from connectors.pipeline.progress import Progress
from connectors.pipeline.remarks import heard

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.ledger import Ledger, Run
    from connectors.models import Cleaners
    from connectors.pipeline.ingest_run import Purpose
    from connectors.settings import AnySource, PersonaSettings, StateSettings


async def open_run(
    source: AnySource,
    *,
    persona: PersonaSettings,
    state: StateSettings,
    purpose: Purpose = "import",
    progress: Progress | None = None,
    cleaners: Callable[[], Cleaners] | None = None,
) -> IngestRun:
    """Open the ledger, the knowledge base and the source, and take the source's lease.

    What was opened is closed again when a later step fails.

    Args:
        cleaners: makes what cleans; None: a process a core of this machine.

    Raises:
        UsageError: an option that cannot work, or another run of this source is active.
        FatalError: the state cannot be written.
    """
    memory.share_arenas()
    headers = parts.header_values(source.header, os.environ)
    rules = CleaningRules(select=source.select, remove=source.remove)
    progress = progress if progress is not None else Progress()
    async with contextlib.AsyncExitStack() as stack:
        remarks = stack.enter_context(heard())
        written = parts.rehearsal_state(state, stack) if source.dry_run else state
        ledger = parts.open_ledger(written)
        stack.push_async_callback(ledger.close)
        destination = await parts.open_destination(source, persona=persona, state=written)
        stack.push_async_callback(destination.client.close)
        run = await _begin(ledger, source, destination=destination.key, purpose=purpose, rules=rules)
        pool = (cleaners or parts.open_pool)()
        stack.push_async_callback(pool.close)
        pool.warm()
        before = await ledger.counts(run) if run.resumed else None
        rest = parts.what_is_left(source, before)
        frontier = await parts.open_frontier(ledger, run, progress)
        reader, fetcher = parts.open_source(rest, headers=headers, ledger=ledger, run=run, frontier=frontier)
        if fetcher is not None:
            stack.push_async_callback(fetcher.aclose)
        opened = _kind_of_run(source)(
            source=source,
            run=run,
            ledger=ledger,
            persona=destination.client,
            pool=pool,
            collector=Collector(
                ledger=ledger,
                run=run,
                source=reader,
                pool=pool,
                rules=rules,
                progress=progress,
                render=parts.open_renderer(source, fetcher, stack, cuts=getattr(reader, "cuts", None)),
                render_always=source.render == "always",
                alternate=getattr(reader, "fetch_alternate", None),
            ),
            delivery=Delivery(ledger, destination.client, source),
            where=destination.where.replace(str(written.folder()), str(state.folder())),
            progress=progress,
            purpose=purpose,
            remarks=remarks,
            rules_before=frozenset({*before.skipped, *before.failed} if before else ()),
        )
        opened.closers.append(stack.pop_all().aclose)
    memory.collect_rarely()
    return opened


async def _begin(ledger: Ledger, source: AnySource, *, destination: str, purpose: Purpose, rules: CleaningRules) -> Run:
    kind, origin = naming.origin_of(source)
    return await ledger.begin(
        source=naming.name_of(source),
        kind=kind,
        origin=naming.public_address(origin),
        destination=destination,
        options=naming.public_options(source),
        purpose=purpose,
        config=tidy.config_fingerprint(rules),
    )


def _kind_of_run(source: AnySource) -> type[IngestRun]:
    """Return what a run of this source is: one that delivers, or one that only says what it would do."""
    if not source.dry_run:
        return IngestRun
    from connectors.pipeline.rehearse import Rehearsal

    return Rehearsal
