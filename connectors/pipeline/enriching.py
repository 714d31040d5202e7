"""Joins the ledger's pages with what the persona is told about them: prompts and review."""

from __future__ import annotations

import logging
import re
from itertools import islice
from typing import TYPE_CHECKING

from connectors.enrich import findings, topics
from connectors.errors import RefusedError, RetryableError
from connectors.models import PageFacts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from connectors.enrich.findings import Finding
    from connectors.ledger import Ledger, PageRow, Run
    from connectors.persona.client import PersonaClient

log = logging.getLogger(__name__)

ASKED_AGAIN = "The pages are safe; `persona-ingest retry` or the next run asks for the prompts again."
# Each begins with the break before its line: a pattern that begins with a letter is looked for faster than one that
# begins with a place.
_HEADING = re.compile(r"\n#{2,3} +(.+?) *#*$", re.MULTILINE)
_FENCED = re.compile(r"\n(```|~~~).*?\n\1", re.DOTALL)
_MARKUP = re.compile(r"\[([^\]\n]*)\]\([^)\n]*\)|[`*_\\]")
HEADINGS_A_PAGE = 12
FINDINGS_A_CALL = 100
SAMPLE = 2000
"""The most pages whose headings are looked at for topics, and whose facts are kept."""


class Subject:
    """The pages that prompts and review are about, as facts: of a few thousand pages each is made once for both.

    Args:
        only: ``brought``: only the pages that this run found new or changed.
    """

    def __init__(self, ledger: Ledger, run: Run, *, only: str = "") -> None:
        self.ledger = ledger
        self.run = run
        self._only = only
        self._kept: list[PageFacts] | None = None

    async def count(self) -> int:
        """Return how many pages there are."""
        return await self.ledger.how_many(self.run, only=self._only)

    async def sample(self) -> list[PageFacts]:
        """Return all pages, or of a large site an even sample: it says what the site is about and fits into memory."""
        every = -(-await self.count() // SAMPLE) or 1
        pages = [facts(row) async for row in self.ledger.pages(self.run, only=self._only, every=every)]
        if every == 1:
            self._kept = pages
        return pages

    async def each(self) -> AsyncIterator[PageFacts]:
        """Yield every page; without headings, unless it was in the sample."""
        few = self._kept is not None or await self.count() <= SAMPLE
        if few and self._kept is None:
            self._kept = [facts(row) async for row in self._without_text()]
        for page in self._kept or ():
            yield page
        if not few:
            async for row in self._without_text():
                yield facts(row)

    def _without_text(self) -> AsyncIterator[PageRow]:
        return self.ledger.pages(self.run, only=self._only, text=False)


def facts(row: PageRow) -> PageFacts:
    """Reduce a page to what topics and findings need."""
    meta = row.metadata
    return PageFacts(
        uri=row.uri,
        title=row.title,
        language=str(meta.get("language") or ""),
        description=str(meta.get("description") or ""),
        site_name=str(meta.get("site_name") or ""),
        word_count=int(meta.get("word_count") or 0),
        section=tuple(str(part) for part in meta.get("section") or ()),
        headings=headings(row.content) if row.content else (),
        flags=row.flags,
        blocks=tuple(sorted(set(row.blocks))[: findings.SKETCH]),
    )


def headings(content: str) -> tuple[str, ...]:
    """Return the first headings of the second and third level as plain text; what is fenced is code."""
    found = _HEADING.finditer(_FENCED.sub("\n", f"\n{content}"))
    told = "\n".join([heading[1] for heading in islice(found, HEADINGS_A_PAGE)])
    return tuple(_MARKUP.sub(r"\1", told).split("\n")) if told else ()


async def ask_for_prompts(about: Subject, persona: PersonaClient) -> list[str]:
    """Ask auto-generate-prompts about pages, 50 topics a call, and keep each answer.

    Returns:
        Different prompts in the order they came; none when there are no pages.

    Raises:
        RetryableError: a call was not answered; it and those behind it are owed: see `ask_again`.
    """
    count = await about.count()
    pages = await about.sample()
    chosen = topics.topics(pages, most=topics.how_many(count))
    if not chosen:
        return []
    first = min(pages, key=lambda page: (len(page.uri), page.uri))
    told = topics.context(
        site=first.site_name or about.run.source, description=first.description, pages=count, language=first.language
    )
    prompts: dict[str, None] = {}
    calls = topics.calls(chosen)
    for made, call in enumerate(calls):
        try:
            answer = await persona.auto_generate_prompts(call, told)
        except RetryableError as error:
            await about.ledger.owe_prompts(about.run, calls[made:], context=told)
            raise RetryableError(f"{error} {ASKED_AGAIN}") from error
        await about.ledger.keep_prompts(about.run, call, answer)
        prompts.update(dict.fromkeys(answer))
    return list(prompts)


async def ask_again(ledger: Ledger, run: Run, persona: PersonaClient) -> list[str]:
    """Make the calls of auto-generate-prompts that earlier runs of the source got no answer to.

    Raises:
        RetryableError: there is no answer yet; what is owed stays owed.
    """
    prompts: dict[str, None] = {}
    for owed in await ledger.owed_prompts(run):
        try:
            answer = await persona.auto_generate_prompts(list(owed.topics), owed.context)
        except RetryableError as error:
            raise RetryableError(f"{error} {ASKED_AGAIN}") from error
        except RefusedError as error:  # the API changed its mind: to ask for ever is no use
            log.warning("Prompts that were owed are given up: %s", error)
            answer = []
        await ledger.settle_prompts(run, owed, answer)
        prompts.update(dict.fromkeys(answer))
    return list(prompts)


async def submit_findings(about: Subject, persona: PersonaClient) -> list[Finding]:
    """Submit what a person should look at among pages, and keep it.

    Returns:
        The findings that were submitted.
    """
    survey = findings.Survey(await about.count())
    for look in (survey.first, survey.second):
        async for page in about.each():
            look(page)
    found = survey.findings()
    for start in range(0, len(found), FINDINGS_A_CALL):
        part = found[start : start + FINDINGS_A_CALL]
        await persona.review_data([item.article for item in part], [item.note for item in part])
        await about.ledger.keep_findings(about.run, [(item.uri, item.article, item.note) for item in part])
    return found
