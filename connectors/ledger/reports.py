"""SQL that only reads: counts, status, what became of a URL, pages of a run."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, func, insert, or_, select

from connectors.ledger import lease
from connectors.ledger.pack import dump, from_ms, load, plain, unpack_blocks, unpack_text, uri_hash
from connectors.ledger.prepared import Prepared, among
from connectors.ledger.runs import holder_of
from connectors.ledger.schema import batches, findings, pages, prompts, resources, runs, sources, versions, visits
from connectors.ledger.values import BatchRow, Counts, Failure, Met, PageRow, RunRow, SourceStatus, Visit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Select

    from connectors.ledger.values import Run

LIVE_STATES = ("pending", "sent", "delivered", "verified", "updating", "quarantined")
_SAMPLE = 4000
_FEWEST_PAGES = 5


def counts(connection: Connection, run: Run) -> Counts:
    """Count everything a run's summary says."""
    outcomes: Counter[str] = Counter()
    rules: dict[str, Counter[str]] = {"skipped": Counter(), "failed": Counter()}
    faults = 0
    grouped = select(visits.c.outcome, visits.c.rule, func.count(), func.sum(visits.c.fault))
    by_rule = grouped.where(visits.c.run_id == run.id).group_by(visits.c.outcome, visits.c.rule)
    for outcome, rule, number, faulty in connection.execute(by_rule):
        outcomes[outcome or "due"] += number
        if outcome in rules:
            rules[outcome][rule or "unknown"] += number
        faults += int(faulty or 0)
    verdicts = _grouped(connection, pages.c.verdict, pages.c.source_id == run.source_id, pages.c.verdict_run == run.id)
    states = _grouped(connection, versions.c.state, versions.c.source_id == run.source_id)
    sent = _grouped(
        connection, versions.c.delivered_via, versions.c.source_id == run.source_id, versions.c.delivered_run == run.id
    )
    deleted = _grouped(
        connection, versions.c.state, versions.c.source_id == run.source_id, versions.c.closed_run == run.id
    ).get("deleted", 0)
    return Counts(
        discovered=sum(outcomes.values()),
        due=outcomes["due"],
        fetched=outcomes["fetched"],
        not_modified=outcomes["not_modified"],
        skipped=dict(rules["skipped"]),
        failed=dict(rules["failed"]),
        faults=faults,
        new=verdicts.get("new", 0),
        changed=verdicts.get("changed", 0),
        unchanged=verdicts.get("unchanged", 0) + _not_read(connection, run),
        vanished=deleted,
        stored=sent.get("store", 0),
        streamed=sent.get("stream", 0),
        updated=sent.get("put", 0),
        deleted=deleted,
        batches=_grouped(connection, batches.c.state, batches.c.run_id == run.id),
        due_pages=sum(states.get(state, 0) for state in LIVE_STATES),
        verified=states.get("verified", 0),
        quarantined=states.get("quarantined", 0),
        prompts=sum(len(json.loads(text)) for text in _prompts(connection, run.id)),
        reviewed=connection.execute(select(func.count()).where(findings.c.run_id == run.id)).scalar_one(),
    )


def _not_read(connection: Connection, run: Run) -> int:
    """Count live pages that stand in resources which are as they were, so that nobody looked at the pages."""
    query = (
        select(func.count())
        .select_from(pages)
        .join(resources, resources.c.id == pages.c.resource_id)
        .where(pages.c.source_id == run.source_id, pages.c.state == "live", pages.c.verdict_run != run.id)
        .where(resources.c.seen_run == run.id, resources.c.recorded_run != run.id)
        .where(pages.c.seen_run == resources.c.recorded_run)
    )
    return int(connection.execute(query).scalar_one())


def _grouped(connection: Connection, column: ColumnElement[Any], *where: ColumnElement[bool]) -> dict[str, int]:
    rows = connection.execute(select(column, func.count()).where(*where).group_by(column))
    return {name: number for name, number in rows if name is not None}


def _prompts(connection: Connection, run_id: int) -> list[str]:
    return list(connection.execute(select(prompts.c.prompts).where(prompts.c.run_id == run_id)).scalars())


def repeated_blocks(connection: Connection, run: Run) -> frozenset[int]:
    """Return the blocks that stand on more than half of the pages seen in this run (of an even sample of many)."""
    mine = and_(pages.c.source_id == run.source_id, pages.c.seen_run == run.id)
    total = connection.execute(select(func.count()).select_from(pages).where(mine)).scalar_one()
    if total < _FEWEST_PAGES:
        return frozenset()
    step = max(1, total // _SAMPLE)
    numbered = select(pages.c.blocks, func.row_number().over(order_by=pages.c.id).label("n")).where(mine).subquery()
    seen: Counter[int] = Counter()
    sampled = 0
    for (packed,) in connection.execute(select(numbered.c.blocks).where(numbered.c.n % step == 0)):
        seen.update(set(unpack_blocks(packed)))
        sampled += 1
    return frozenset(block for block, number in seen.items() if number * 2 > sampled)


def _page_rows(*, text: bool, brought: bool) -> Prepared:
    wanted = [pages.c.id, pages.c.version_id, pages.c.uri, pages.c.title, pages.c.flags, pages.c.blocks]
    wanted += [pages.c.verdict, pages.c.verdict_run, versions.c.metadata, versions.c.state]
    query = (
        select(*wanted, *([versions.c.content] if text else []))
        .join(versions, versions.c.id == pages.c.version_id)
        .where(pages.c.source_id == bindparam("source"), pages.c.id > bindparam("after"), pages.c.state == "live")
        .where((pages.c.id - bindparam("after")) % bindparam("every") == 0)
    )
    if brought:
        query = query.where(pages.c.verdict_run == bindparam("run"), among(pages.c.verdict, ("new", "changed")))
    return Prepared(query.order_by(pages.c.id).limit(bindparam("most")))


_PAGE_ROWS = {
    (text, brought): _page_rows(text=text, brought=brought) for text in (False, True) for brought in (False, True)
}


def some_pages(
    connection: Connection, run: Run, *, after: int, most: int, only: str, text: bool = True, every: int = 1
) -> list[PageRow]:
    """Return live pages behind a page id: all of the source, or those this run brought (``only`` is "brought").

    Args:
        text: with their texts; else ``content`` is empty.
        every: only those whose id is a multiple of this away.
    """
    given = {"source": run.source_id, "after": after, "every": every, "most": most}
    brought = {"run": run.id} if only == "brought" else {}
    return [
        PageRow(
            page_id=row.id,
            version_id=row.version_id,
            uri=row.uri,
            title=row.title,
            content=unpack_text(row.content) if text else "",
            metadata=load(row.metadata),
            flags=tuple(load(row.flags)),
            state=row.state,
            verdict=row.verdict if row.verdict_run == run.id else "unchanged",
            blocks=unpack_blocks(row.blocks),
        )
        for row in _PAGE_ROWS[text, bool(brought)].all(connection, given | brought)
    ]


def how_many(connection: Connection, run: Run, *, only: str) -> int:
    """Count the pages that `some_pages` returns."""
    mine = and_(pages.c.source_id == run.source_id, pages.c.state == "live")
    if only == "brought":
        mine = and_(mine, pages.c.verdict_run == run.id, pages.c.verdict.in_(("new", "changed")))
    return int(connection.execute(select(func.count()).where(mine)).scalar_one())


def blocks(connection: Connection, run: Run, *, uri: str) -> tuple[int, ...]:
    """Return the text blocks of the page under a URI; none when there is no such page."""
    mine = (pages.c.hash == uri_hash(uri), pages.c.source_id == run.source_id)
    packed = connection.execute(select(pages.c.blocks).where(*mine)).scalar()
    return tuple(unpack_blocks(packed)) if packed else ()


def failures(connection: Connection, run: Run) -> list[Failure]:
    """Return what went wrong: failed URIs of the run, and pages of the source in quarantine."""
    failed = select(visits).where(visits.c.run_id == run.id, visits.c.outcome == "failed").order_by(visits.c.id)
    found = [
        Failure(uri=row.uri, rule=row.rule or "", detail=row.detail or "", fault=bool(row.fault))
        for row in connection.execute(failed)
    ]
    refused = select(versions.c.uri, versions.c.reason).where(
        versions.c.source_id == run.source_id, versions.c.state == "quarantined"
    )
    return found + [
        Failure(uri=row.uri, rule="quarantined", detail=row.reason, fault=True)
        for row in connection.execute(refused.order_by(versions.c.id))
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Highlights:
    """What a report lists of a run beside its numbers, no more of each than was asked for.

    Attributes:
        slowest: address, seconds and outcome of what took longest to read, the slowest first.
        findings: address, article and note of what was submitted for review.
        removed: title and address of pages that this run took out of the knowledge base.
    """

    slowest: tuple[tuple[str, float, str], ...] = ()
    findings: tuple[tuple[str, str, str], ...] = ()
    removed: tuple[tuple[str, str], ...] = ()


def highlights(connection: Connection, run: Run, *, slowest: int, most: int) -> Highlights:
    """Return the run's slowest addresses, and up to ``most`` of its findings and of its removed pages."""
    read = select(visits.c.uri, visits.c.seconds, func.coalesce(visits.c.outcome, "")).where(
        visits.c.run_id == run.id, visits.c.seconds > 0
    )
    kept = select(findings.c.uri, findings.c.article, findings.c.note).where(findings.c.run_id == run.id)
    # The same rows as in `counts`: a page whose deletion has not been answered yet is not gone.
    deleted = select(versions.c.page_id).where(
        versions.c.source_id == run.source_id, versions.c.closed_run == run.id, versions.c.state == "deleted"
    )
    buried = select(pages.c.title, pages.c.uri).where(
        pages.c.source_id == run.source_id,
        pages.c.verdict == "vanished",
        pages.c.verdict_run == run.id,
        pages.c.id.in_(deleted),
    )

    def rows(query: Select[Any]) -> tuple[Any, ...]:
        return tuple(tuple(row) for row in connection.execute(query))

    return Highlights(
        slowest=rows(read.order_by(visits.c.seconds.desc(), visits.c.id).limit(slowest)),
        findings=rows(kept.order_by(findings.c.id).limit(most)),
        removed=rows(buried.order_by(pages.c.id).limit(most)),
    )


def batch_rows(connection: Connection, run: Run) -> list[BatchRow]:
    """Return the batches of a run in order."""
    rows = connection.execute(select(batches).where(batches.c.run_id == run.id).order_by(batches.c.number))
    names = BatchRow.__dataclass_fields__
    return [BatchRow(**{name: row._mapping[name] for name in names}) for row in rows]  # noqa: SLF001 - its public name


def explain(connection: Connection, uri: str) -> list[Visit]:
    """Return what became of a URI in each run that met it, the newest first."""
    query = (
        select(
            visits,
            runs.c.started_at,
            sources.c.name,
            pages.c.state.label("page_state"),
            versions.c.state.label("version_state"),
            versions.c.reason,
        )
        .join(runs, runs.c.id == visits.c.run_id)
        .join(sources, sources.c.id == runs.c.source_id)
        .outerjoin(pages, and_(pages.c.hash == visits.c.hash, pages.c.source_id == sources.c.id))
        .outerjoin(versions, versions.c.id == pages.c.version_id)
        .where(visits.c.run_id.in_(select(runs.c.id)), visits.c.hash == uri_hash(uri))  # how the index is sorted
        .order_by(visits.c.run_id.desc())
    )
    return [
        Visit(
            uri=row.uri,
            run=row.run_id,
            source=row.name,
            started_at=from_ms(row.started_at),
            outcome=row.outcome or "",
            rule=row.rule or "",
            detail=row.detail or "",
            found_by=row.found_by,
            via=row.via,
            depth=row.depth,
            status=row.status or 0,
            page=row.page_state or "",
            version=row.version_state or "",
            reason=row.reason or "",
        )
        for row in connection.execute(query)
    ]


def run_rows(connection: Connection, *, source_id: int | None = None, most: int = 50) -> list[RunRow]:
    """Return runs, the newest first."""
    query = select(runs, sources.c.name).join(sources, sources.c.id == runs.c.source_id)
    if source_id is not None:
        query = query.where(runs.c.source_id == source_id)
    return [
        RunRow(
            id=row.id,
            source=row.name,
            purpose=row.purpose,
            state=row.state,
            complete=bool(row.complete),
            resumed=bool(row.resumed),
            started_at=from_ms(row.started_at),
            ended_at=None if row.ended_at is None else from_ms(row.ended_at),
            summary=json.loads(row.summary or "{}"),
        )
        for row in connection.execute(query.order_by(runs.c.id.desc()).limit(most))
    ]


def status(connection: Connection, *, now: int, stale_s: float) -> list[SourceStatus]:
    """Return every source with its pages, batches and last run."""
    found = []
    for row in connection.execute(select(sources).order_by(sources.c.name, sources.c.destination)).all():
        holder = holder_of(row)
        last = run_rows(connection, source_id=row.id, most=1)
        found.append(
            SourceStatus(
                id=row.id,
                name=row.name,
                kind=row.kind,
                origin=row.origin,
                destination=row.destination,
                options=json.loads(row.options),
                busy=holder is not None and not lease.is_dead(holder, now_ms=now, stale_s=stale_s),
                pages=_grouped(connection, pages.c.state, pages.c.source_id == row.id).get("live", 0),
                versions=_grouped(connection, versions.c.state, versions.c.source_id == row.id),
                batches=_grouped(connection, batches.c.state, batches.c.source_id == row.id),
                last_run=last[0] if last else None,
            )
        )
    return found


def sources_due(connection: Connection, *, destination: str, quarantined: str) -> list[str]:
    """Return the names of sources with open batches, pages to send, or pages in a quarantine that is to be tried."""
    unsettled = select(versions.c.source_id).where(versions.c.state.in_(("pending", "sent", "updating", "deleting")))
    due: ColumnElement[bool] = sources.c.id.in_(unsettled)
    if quarantined:
        refused = select(versions.c.source_id).where(versions.c.state == "quarantined")
        named = refused.where(or_(versions.c.uri == quarantined, sources.c.name == quarantined)).correlate(sources)
        due = or_(due, sources.c.id.in_(refused if quarantined == "all" else named))
    query = select(sources.c.name).where(sources.c.destination == destination, due).order_by(sources.c.name)
    return list(connection.execute(query).scalars())


def quarantined(connection: Connection, *, destination: str) -> list[str]:
    """Return the URIs of a destination's pages in quarantine."""
    query = (
        select(versions.c.uri)
        .join(sources, sources.c.id == versions.c.source_id)
        .where(sources.c.destination == destination, versions.c.state == "quarantined")
        .order_by(versions.c.id)
    )
    return list(connection.execute(query).scalars())


def keep_prompts(connection: Connection, run: Run, topics: Sequence[str], asked: Sequence[str], *, now: int) -> None:
    """Keep what auto-generate-prompts answered."""
    values = {"run_id": run.id, "topics": dump(list(topics)), "prompts": dump(list(asked)), "created_at": now}
    connection.execute(insert(prompts).values(values))


def kept_prompts(connection: Connection, run: Run) -> list[str]:
    """Return the prompts kept for a run."""
    return [prompt for text in _prompts(connection, run.id) for prompt in json.loads(text)]


def keep_findings(connection: Connection, run: Run, found: Sequence[tuple[str, str, str]], *, now: int) -> None:
    """Keep findings (URI, article, note) that were submitted for review."""
    rows = [
        {"run_id": run.id, "uri": plain(uri), "article": plain(article), "note": plain(note), "created_at": now}
        for uri, article, note in found
    ]
    if rows:
        connection.execute(insert(findings), rows)


def met(connection: Connection, *, destination: str) -> list[Met]:
    """Return every address that the last crawl of each source met, with its page's title where there is one."""
    crawled = runs.c.id.in_(select(visits.c.run_id).distinct())
    last = select(func.max(runs.c.id)).join(sources, sources.c.id == runs.c.source_id)
    last = last.where(sources.c.destination == destination, crawled).group_by(runs.c.source_id)
    query = (
        select(visits.c.uri, visits.c.outcome, visits.c.rule, pages.c.title, sources.c.name)
        .join(runs, runs.c.id == visits.c.run_id)
        .join(sources, sources.c.id == runs.c.source_id)
        .outerjoin(pages, and_(pages.c.hash == visits.c.hash, pages.c.source_id == sources.c.id))
        .where(visits.c.run_id.in_(last))
    )
    return [
        Met(uri=uri, title=title or "", outcome=outcome or "", rule=rule or "", source=name)
        for uri, outcome, rule, title, name in connection.execute(query)
    ]
