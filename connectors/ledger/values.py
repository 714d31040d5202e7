"""What the ledger hands to other rooms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from connectors.models import Outgoing, Page

Purpose = Literal["import", "sync", "retry", "verify"]
Verdict = Literal["new", "changed", "unchanged", "duplicate", "held"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One piece of work on one source, by the process that holds its lease.

    Attributes:
        id: its number in the ledger; people see it, `explain` and `--approve` take it.
        resumed: the run was begun by a process that did not finish it.
        stream_id: what stream-pages is told; the same over restarts of the run.
        config: fingerprint of the cleaning; a URI last cleaned otherwise is read without its validators.
        first: the source had no run before.
    """

    id: int
    source_id: int
    source: str
    kind: str
    origin: str
    destination: str
    purpose: Purpose
    resumed: bool
    stream_id: str
    config: str
    started_at: datetime
    first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A page that waits until the whole site was seen."""

    page: Page
    canonical: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The numbers of one run's summary.

    The books balance: ``discovered`` = ``due`` + ``fetched`` + ``not_modified`` + all of ``skipped`` + all of
    ``failed``, and nothing is due when the run is finished.
    """

    discovered: int = 0
    due: int = 0
    fetched: int = 0
    not_modified: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    faults: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    vanished: int = 0
    stored: int = 0
    streamed: int = 0
    updated: int = 0
    deleted: int = 0
    batches: Mapping[str, int] = field(default_factory=dict)
    due_pages: int = 0
    verified: int = 0
    quarantined: int = 0
    prompts: int = 0
    reviewed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRow:
    """A page of a source as reports and enrichment read it; ``content`` is the deliverable text."""

    page_id: int
    version_id: int
    uri: str
    title: str
    content: str
    metadata: Mapping[str, Any]
    flags: tuple[str, ...]
    state: str
    verdict: str
    blocks: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What became of one URI in one run; ``outcome`` is empty while it is due."""

    uri: str
    run: int
    source: str
    started_at: datetime
    outcome: str
    rule: str
    detail: str
    found_by: str
    via: str
    depth: int
    status: int
    page: str
    version: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A URI that went wrong, or a page that the API refused."""

    uri: str
    rule: str
    detail: str
    fault: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """A batch as reports show it."""

    id: int
    number: int
    method: str
    state: str
    pages: int
    bytes: int
    attempts: int
    calls: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchHead:
    """A batch by its number, without its pages."""

    id: int
    number: int
    pages: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchWork:
    """A batch as delivery needs it.

    Attributes:
        pending: what is to be sent.
        sent: versions whose arrival is unknown.
        sent_boot, sent_tick: when the last call was intended, by the clock that counts since boot (ms).
    """

    id: int
    number: int
    method: str
    stream_id: str
    state: str
    attempts: int
    calls: int
    pages: int
    detail: str
    pending: tuple[Outgoing, ...]
    sent: tuple[int, ...]
    sent_boot: str
    sent_tick: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A version that should be in the knowledge base, or may be.

    Attributes:
        key: hash of its normal text.
        items: the training items it was last seen as.
        mark: of its item's bytes when they were read as this whole text; empty when it is not known so.
        uri: the address in its ``Source:`` line. This and what follows are details: read for the few that need them.
        boot: when it was delivered, together with ``tick``.
    """

    version_id: int
    page_id: int
    state: str
    key: bytes
    items: tuple[str, ...] = ()
    mark: bytes = b""
    uri: str = ""
    boot: str = ""
    tick: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """A version that replaces another in place."""

    page: Outgoing
    elder: int
    item_id: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A version that is to leave the knowledge base, and the items it is."""

    version_id: int
    page_id: int
    uri: str
    state: str
    reason: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run as reports show it; ``summary`` is empty until it is finished."""

    id: int
    source: str
    purpose: str
    state: str
    complete: bool
    resumed: bool
    started_at: datetime
    ended_at: datetime | None
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """A source as `status` shows it: pages by state of their version, batches by state."""

    id: int
    name: str
    kind: str
    origin: str
    destination: str
    options: Mapping[str, Any]
    busy: bool
    pages: int
    versions: Mapping[str, int]
    batches: Mapping[str, int]
    last_run: RunRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """An address that a source's last crawl met, and what became of it."""

    uri: str
    title: str
    outcome: str
    rule: str
    source: str
