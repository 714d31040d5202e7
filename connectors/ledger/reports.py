"""SQL that only reads: counts, status, what became of a URL, pages of a run."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from connectors.ledger import lease
from connectors.ledger.debts import OWING
from connectors.ledger.pack import dump, from_ms, load, plain, unpack_blocks, unpack_text, uri_hash
from connectors.ledger.runs import holder_of
from connectors.ledger.values import BatchRow, Counts, Failure, Met, PageRow, RunRow, SourceStatus, Visit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.ledger.database import Connection
    from connectors.ledger.values import Run

LIVE_STATES = ("pending", "sent", "delivered", "verified", "updating", "quarantined")
_SAMPLE = 4000
_FEWEST_PAGES = 5

_BY_RULE = """
SELECT outcome, rule, count(*) AS number, sum(fault) AS faulty FROM visits WHERE run_id = :run GROUP BY outcome, rule
"""
_VERDICTS = "pages WHERE source_id = :source AND verdict_run = :run"
_VERSIONS = "versions WHERE source_id = :source"
_NOT_READ = """
SELECT count(*) FROM pages JOIN resources ON resources.id = pages.resource_id
WHERE pages.source_id = :source AND pages.state = 'live' AND pages.verdict_run <> :run
  AND resources.seen_run = :run AND resources.recorded_run <> :run AND pages.seen_run = resources.recorded_run
"""
_PROMPTS = "SELECT prompts FROM prompts WHERE run_id = :run AND prompts <> ''"  # those without an answer are owed
_REVIEWED = "SELECT count(*) FROM findings WHERE run_id = :run"
_SEEN = "SELECT count(*) FROM pages WHERE source_id = :source AND seen_run = :run"
_BLOCKS_SEEN = """
SELECT blocks FROM pages WHERE id IN (
  SELECT id FROM (
    SELECT id, row_number() OVER (ORDER BY id) AS n FROM pages WHERE source_id = :source AND seen_run = :run
  ) AS numbered
  WHERE n % :step = 0
)
"""
_BROUGHT = "verdict_run = :run AND verdict IN ('new', 'changed')"
_MINE = "source_id = :source AND state = 'live'"
_BLOCKS = "SELECT blocks FROM pages WHERE hash = :hash AND source_id = :source"
_FAILED = "SELECT uri, rule, detail, fault FROM visits WHERE run_id = :run AND outcome = 'failed' ORDER BY id"
_REFUSED = "SELECT uri, reason FROM versions WHERE source_id = :source AND state = 'quarantined' ORDER BY id"
_SLOWEST = """
SELECT uri, seconds, coalesce(outcome, '') AS outcome FROM visits WHERE run_id = :run AND seconds > 0
ORDER BY seconds DESC, id LIMIT :most
"""
_FINDINGS = "SELECT uri, article, note FROM findings WHERE run_id = :run ORDER BY id LIMIT :most"
_REMOVED = """
SELECT title, uri FROM pages
WHERE verdict = 'vanished' AND verdict_run = :run AND id IN (
  SELECT page_id FROM versions WHERE closed_run = :run AND state = 'deleted'
)
ORDER BY id LIMIT :most
"""  # the same rows as in `counts`: a page whose deletion has not been answered yet is not gone
_BATCHES = """
SELECT id, number, method, state, pages, bytes, attempts, calls, detail FROM batches WHERE run_id = :run ORDER BY number
"""
_EXPLAIN = """
SELECT
  visits.*, runs.started_at, sources.name, pages.state AS page_state, versions.state AS version_state, versions.reason
FROM visits
JOIN runs ON runs.id = visits.run_id
JOIN sources ON sources.id = runs.source_id
LEFT JOIN pages ON pages.hash = visits.hash AND pages.source_id = sources.id
LEFT JOIN versions ON versions.id = pages.version_id
WHERE visits.run_id IN (SELECT id FROM runs) AND visits.hash = :hash
ORDER BY visits.run_id DESC
"""  # by run and hash: how the index is sorted
_RUNS = """
SELECT runs.*, sources.name FROM runs JOIN sources ON sources.id = runs.source_id {where}
ORDER BY runs.id DESC LIMIT :most
"""
_UNSETTLED = "SELECT source_id FROM versions WHERE state IN ('pending', 'sent', 'updating', 'deleting')"
_DUE = f"""
SELECT name FROM sources WHERE destination = :destination AND (id IN ({_UNSETTLED}) OR id IN ({OWING}) OR id IN (
  SELECT versions.source_id FROM versions
  WHERE versions.state = 'quarantined' AND :quarantined IN ('all', versions.uri, sources.name)
))
ORDER BY name
"""
_QUARANTINED = """
SELECT versions.uri FROM versions JOIN sources ON sources.id = versions.source_id
WHERE sources.destination = :destination AND versions.state = 'quarantined' ORDER BY versions.id
"""
_MET = """
SELECT visits.uri, visits.outcome, visits.rule, pages.title, sources.name
FROM visits
JOIN runs ON runs.id = visits.run_id
JOIN sources ON sources.id = runs.source_id
LEFT JOIN pages ON pages.hash = visits.hash AND pages.source_id = sources.id
WHERE visits.run_id IN (
  SELECT max(runs.id) FROM runs JOIN sources ON sources.id = runs.source_id
  WHERE sources.destination = :destination AND runs.id IN (SELECT DISTINCT run_id FROM visits)
  GROUP BY runs.source_id
)
"""


def counts(connection: Connection, run: Run) -> Counts:
    """Count everything a run's summary says."""
    outcomes: Counter[str] = Counter()
    rules: dict[str, Counter[str]] = {"skipped": Counter(), "failed": Counter()}
    faults = 0
    mine = {"source": run.source_id, "run": run.id}
    for outcome, rule, number, faulty in connection.rows(_BY_RULE, run=run.id):
        outcomes[outcome or "due"] += number
        if outcome in rules:
            rules[outcome][rule or "unknown"] += number
        faults += int(faulty or 0)
    verdicts = _grouped(connection, "verdict", _VERDICTS, **mine)
    states = _grouped(connection, "state", _VERSIONS, source=run.source_id)
    sent = _grouped(connection, "delivered_via", "versions WHERE delivered_run = :run", run=run.id)
    deleted = _grouped(connection, "state", "versions WHERE closed_run = :run", run=run.id).get("deleted", 0)
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
        batches=_grouped(connection, "state", "batches WHERE run_id = :run", run=run.id),
        due_pages=sum(states.get(state, 0) for state in LIVE_STATES),
        verified=states.get("verified", 0),
        quarantined=states.get("quarantined", 0),
        prompts=sum(len(json.loads(text)) for text in connection.column(_PROMPTS, run=run.id)),
        reviewed=connection.value(_REVIEWED, run=run.id),
    )


def _not_read(connection: Connection, run: Run) -> int:
    """Count live pages that stand in resources which are as they were, so that nobody looked at the pages."""
    return int(connection.value(_NOT_READ, source=run.source_id, run=run.id))


def _grouped(connection: Connection, column: str, what: str, **given: Any) -> dict[str, int]:
    rows = connection.rows(f"SELECT {column} AS word, count(*) AS number FROM {what} GROUP BY {column}", **given)
    return {row.word: row.number for row in rows if row.word is not None}


def repeated_blocks(connection: Connection, run: Run) -> frozenset[int]:
    """Return the blocks that stand on more than half of the pages seen in this run (of an even sample of many)."""
    mine = {"source": run.source_id, "run": run.id}
    total = connection.value(_SEEN, **mine)
    if total < _FEWEST_PAGES:
        return frozenset()
    seen: Counter[int] = Counter()
    sampled = 0
    for packed in connection.column(_BLOCKS_SEEN, **mine, step=max(1, total // _SAMPLE)):
        seen.update(set(unpack_blocks(packed)))
        sampled += 1
    return frozenset(block for block, number in seen.items() if number * 2 > sampled)


@cache
def _page_rows(*, text: bool, brought: bool) -> str:
    return f"""
SELECT
  pages.id, pages.version_id, pages.uri, pages.title, pages.flags, pages.blocks, pages.verdict, pages.verdict_run,
  versions.metadata, versions.state{", versions.content" if text else ""}
FROM pages JOIN versions ON versions.id = pages.version_id
WHERE pages.source_id = :source AND pages.id > :after AND pages.state = 'live' AND (pages.id - :after) % :every = 0
  {f"AND {_BROUGHT}" if brought else ""}
ORDER BY pages.id LIMIT :most
"""


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
        for row in connection.rows(_page_rows(text=text, brought=bool(brought)), **given, **brought)
    ]


def how_many(connection: Connection, run: Run, *, only: str) -> int:
    """Count the pages that `some_pages` returns."""
    every = f"SELECT count(*) FROM pages WHERE {_MINE}"
    if only == "brought":
        return int(connection.value(f"{every} AND {_BROUGHT}", source=run.source_id, run=run.id))
    return int(connection.value(every, source=run.source_id))


def blocks(connection: Connection, run: Run, *, uri: str) -> tuple[int, ...]:
    """Return the text blocks of the page under a URI; none when there is no such page."""
    packed = connection.value(_BLOCKS, hash=uri_hash(uri), source=run.source_id)
    return tuple(unpack_blocks(packed)) if packed else ()


def failures(connection: Connection, run: Run) -> list[Failure]:
    """Return what went wrong: failed URIs of the run, and pages of the source in quarantine."""
    found = [
        Failure(uri=row.uri, rule=row.rule or "", detail=row.detail or "", fault=bool(row.fault))
        for row in connection.rows(_FAILED, run=run.id)
    ]
    return found + [
        Failure(uri=row.uri, rule="quarantined", detail=row.reason, fault=True)
        for row in connection.rows(_REFUSED, source=run.source_id)
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

    def rows(query: str, **given: Any) -> tuple[Any, ...]:
        return tuple([tuple(row) for row in connection.rows(query, run=run.id, **given)])

    return Highlights(
        slowest=rows(_SLOWEST, most=slowest),
        findings=rows(_FINDINGS, most=most),
        removed=rows(_REMOVED, most=most),
    )


def batch_rows(connection: Connection, run: Run) -> list[BatchRow]:
    """Return the batches of a run in order."""
    return [BatchRow(**row._asdict()) for row in connection.rows(_BATCHES, run=run.id)]


def explain(connection: Connection, uri: str) -> list[Visit]:
    """Return what became of a URI in each run that met it, the newest first."""
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
        for row in connection.rows(_EXPLAIN, hash=uri_hash(uri))
    ]


def run_rows(connection: Connection, *, source_id: int | None = None, most: int = 50) -> list[RunRow]:
    """Return runs, the newest first."""
    of_source = {} if source_id is None else {"source": source_id}
    query = _RUNS.format(where="WHERE runs.source_id = :source" if of_source else "")
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
        for row in connection.rows(query, **of_source, most=most)
    ]


def status(connection: Connection, *, now: int, stale_s: float) -> list[SourceStatus]:
    """Return every source with its pages, batches and last run."""
    found = []
    for row in connection.rows("SELECT * FROM sources ORDER BY name, destination"):
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
                pages=int(connection.value(f"SELECT count(*) FROM pages WHERE {_MINE}", source=row.id)),
                versions=_grouped(connection, "state", _VERSIONS, source=row.id),
                batches=_grouped(connection, "state", "batches WHERE source_id = :source", source=row.id),
                last_run=last[0] if last else None,
            )
        )
    return found


def sources_due(connection: Connection, *, destination: str, quarantined: str) -> list[str]:
    """Return the names of sources with open batches, pages to send, or pages in a quarantine that is to be tried."""
    return connection.column(_DUE, destination=destination, quarantined=quarantined)


def quarantined(connection: Connection, *, destination: str) -> list[str]:
    """Return the URIs of a destination's pages in quarantine."""
    return connection.column(_QUARANTINED, destination=destination)


def keep_prompts(connection: Connection, run: Run, topics: Sequence[str], asked: Sequence[str], *, now: int) -> None:
    """Keep what auto-generate-prompts answered."""
    values = {"run_id": run.id, "topics": dump(list(topics)), "prompts": dump(list(asked)), "created_at": now}
    connection.insert("prompts", values)


def kept_prompts(connection: Connection, run: Run) -> list[str]:
    """Return the prompts kept for a run."""
    return [prompt for text in connection.column(_PROMPTS, run=run.id) for prompt in json.loads(text)]


def keep_findings(connection: Connection, run: Run, found: Sequence[tuple[str, str, str]], *, now: int) -> None:
    """Keep findings (URI, article, note) that were submitted for review."""
    rows = [
        {"run_id": run.id, "uri": plain(uri), "article": plain(article), "note": plain(note), "created_at": now}
        for uri, article, note in found
    ]
    connection.insert_many("findings", rows)


def met(connection: Connection, *, destination: str) -> list[Met]:
    """Return every address that the last crawl of each source met, with its page's title where there is one."""
    return [
        Met(uri=uri, title=title or "", outcome=outcome or "", rule=rule or "", source=name)
        for uri, outcome, rule, title, name in connection.rows(_MET, destination=destination)
    ]
