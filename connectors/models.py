"""The values that pass from room to room."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import datetime

Kind = Literal["website", "documents", "feed", "sitemap", "git"]
FoundBy = Literal["start", "link", "sitemap", "redirect", "canonical", "alternate", "feed", "resume", "known"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What a source knows about an item before it is read; each is empty when it knows nothing.

    ``published`` and ``modified`` are ISO 8601 (``2024-05-01`` or with a time and zone).
    """

    title: str = ""
    author: str = ""
    published: str = ""
    modified: str = ""
    section: tuple[str, ...] = ()
    language: str = ""


UNTOLD = Hints()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One thing a source read: the bytes, and where they came from.

    Attributes:
        uri: the normal form of where it finally was (after redirects).
        requested_uri: the normal form of where we asked first; equal to ``uri`` without redirects.
        redirects: every URI passed on the way, ``requested_uri`` first, ``uri`` not among them.
        media_type: lower-case essence such as ``text/html``; empty when nobody said.
        charset: what the transport declared; empty when it did not.
        body: the bytes as decoded from their content-coding; None when the source proved that they did
            not change since last time (304, or the same revision), and then nothing is parsed.
        etag, last_modified: validators exactly as sent, empty when absent.
        robots: values of ``X-Robots-Tag`` that concern us.
        link_canonical: the ``Link: rel=canonical`` target, absolute; empty when absent.
        status: the HTTP status; 0 where the source is no HTTP.
        seconds: what reading it cost in wall time.
    """

    uri: str
    requested_uri: str
    media_type: str
    body: bytes | None
    charset: str = ""
    redirects: tuple[str, ...] = ()
    etag: str = ""
    last_modified: str = ""
    robots: tuple[str, ...] = ()
    link_canonical: str = ""
    status: int = 0
    depth: int = 0
    seconds: float = 0.0
    hints: Hints = UNTOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """An item passed over or failed: data with a reason, never an exception.

    Attributes:
        rule: the key it is counted under: ``robots``, ``http-404``, ``trap-repeated-segment``, ``timeout``.
        outcome: ``skipped`` is our or the site's decision, ``failed`` is something that went wrong.
        fault: True when the run must not end with exit code 0 because of it (5xx or a time-out after its
            retries, a source that cannot be read); a 404 or a trap is an outcome of the site and no fault.
        detail: one sentence for ``explain``.
    """

    uri: str
    rule: str
    outcome: Literal["skipped", "failed"] = "skipped"
    detail: str = ""
    fault: bool = False
    status: int = 0
    depth: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A URI somebody pointed at.

    Attributes:
        uri: absolute, in normal form (`connectors.web.urls.normalise`).
        via: the URI that named it; empty for a start address.
        modified: what a sitemap or feed claims (never a proof of change).
    """

    uri: str
    by: FoundBy
    depth: int = 0
    via: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A URI to read, with what is known of its last version (empty when it is new)."""

    uri: str
    by: FoundBy
    depth: int = 0
    via: str = ""
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A clean page: what a persona is told.

    Attributes:
        uri: the identity of the page over time; a chapter of a long document has its own (``…#chapter=2.1``).
        title: without the site's suffix, one line, never empty.
        content: Markdown. No ``Source:`` line and no added title: `connectors.extractors.tidy.draft` makes the
            text that is sent.
        metadata: JSON values only; keys of `cleaning`: url, title, author, date, modified, language, description,
            site_name, section (list), generator, word_count, strategy, media_type.
        flags: what a person should look at, as ``key`` or ``key: detail`` (``thin``, ``mixed-encoding``).
        blocks: unsigned 64-bit hashes of the content's text blocks in order, for finding what repeats on a site.
        weak: the content was chosen without strong evidence, so that text that repeats over the site's pages
            may be boilerplate: such a page is held until the whole site was seen.
    """

    uri: str
    title: str
    content: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    blocks: tuple[int, ...] = ()
    weak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """Everything one parse of a resource gives.

    Attributes:
        pages: usually one; several for a document with chapters; none when ``problem`` or ``noindex`` says why.
        drafts: ``pages`` as they would be sent, in the same order; made where the page was cleaned (the pool's
            processes), so that the process that crawls does not pay for them.
        links: absolute URIs in normal form, in document order, once each, without ``rel=nofollow`` ones.
        canonical: the declared canonical URI in normal form; empty when absent or the page itself.
        problem: empty, or the rule under which the item is passed over: ``empty``, ``not-html``, ``too-deep``,
            ``too-large``, ``needs-javascript``, ``needs-ocr``, ``login``, ``encrypted``, ``broken``, ``unsupported``,
            ``killed-memory``, ``killed-time``, ``frameset`` ...
        detail: one sentence on the problem or on the choice of strategy.
        alternate_markdown: absolute URI of the page's own Markdown, when the page declares one.
        report: what `preview` shows: strategy, why, what was dropped, candidates (JSON values).
    """

    pages: tuple[Page, ...] = ()
    drafts: tuple[Draft, ...] = ()
    links: tuple[str, ...] = ()
    canonical: str = ""
    noindex: bool = False
    nofollow: bool = False
    problem: str = ""
    detail: str = ""
    alternate_markdown: str = ""
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> Literal["skipped", "failed"]:
        """What an item with this problem counts as."""
        return "failed" if self.problem == "broken" or self.problem.startswith("killed-") else "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class CleaningRules:
    """What a source adds to the built-in cleaning: part of every fingerprint, so that a change reaches old pages.

    Attributes:
        select: CSS; only what matches is content.
        remove: CSS; what matches is dropped.
        language: the site's language when it is known and a page does not say.
    """

    select: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A page as it would be sent, and the hashes that say whether that is news.

    Attributes:
        content: the exact string that leaves us: ``Source: URI``, a blank line, one h1, the Markdown.
        text_hash: of title and content without the ``Source:`` line, white space folded: equal means that two URIs
            hold the same page.
        fingerprint: of ``text_hash``, and the cleaning configuration that made it.
    """

    page: Page
    content: str
    text_hash: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A page version as it leaves us: frozen content, the shape of the API's page object.

    ``content`` is exactly the string that is sent and later recognised in the training data.
    """

    version_id: int
    uri: str
    title: str
    content: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFacts:
    """What is told of a page once its text is gone: enough for topics, findings and reports.

    Attributes:
        blocks: different ones of the page's block hashes, the smallest first.
    """

    uri: str
    title: str
    language: str = ""
    description: str = ""
    site_name: str = ""
    word_count: int = 0
    section: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One entry of the training data; ``mark`` tells its bytes in the answer from all others, where they were told."""

    id: str
    content: str
    mark: bytes = b""


def sha256_hex(data: bytes) -> str:
    """Return the lower-case hexadecimal SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


if TYPE_CHECKING:
    from typing import Protocol

    class Source(Protocol):
        """An origin of items. It cannot raise for one bad item and go on, so bad items travel in band.

        ``read`` yields each URI once; it raises `errors.UsageError` when the source as a whole cannot be read
        (the start address does not resolve, refuses or answers an error; the folder does not exist).
        """

        @property
        def kind(self) -> Kind:
            """What sort of origin it is."""
            ...

        def read(self) -> AsyncIterator[Resource | Skipped]:
            """Yield every item once."""
            ...

        async def learn(self, resource: Resource, links: tuple[str, ...]) -> None:
            """Say which links a resource had; called exactly once for each Resource that ``read`` yielded.

            A source that does not follow links ignores it; a crawler counts on it to know when it is done.
            """
            ...

    class Cleaners(Protocol):
        """What turns resources into pages: processes of this machine, or a cluster of others."""

        @property
        def at_once(self) -> int:
            """How many items are worth having in work."""
            ...

        def warm(self) -> None:
            """Begin with what takes long, so that it overlaps with the first fetch."""

        async def clean(self, resource: Resource, rules: CleaningRules) -> Extracted:
            """Return what cleaning ``resource`` gives; one that is killed by it has a ``problem`` that says so.

            Raises:
                errors.FatalError: nothing can be cleaned any more.
            """
            ...

        async def close(self) -> None:
            """End it; items still in work are cancelled."""

    class Stamp(Protocol):
        """A clock; tests bring their own."""

        def __call__(self) -> datetime:
            """Return the time now, aware, UTC."""
            ...
