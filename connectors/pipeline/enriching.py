"""Joins the ledger's pages with what the persona is told about them: prompts and review."""

from __future__ import annotations

import logging
import re
from itertools import islice
from typing import TYPE_CHECKING

from connectors.enrich import findings, topics
from connectors.models import PageFacts

if TYPE_CHECKING:
    from connectors.enrich.findings import Finding
    from connectors.ledger import Ledger, PageRow, Run
    from connectors.persona.client import PersonaClient

log = logging.getLogger(__name__)

# Each begins with the break before its line: a pattern that begins with a letter is looked for faster than one that
# begins with a place.
_HEADING = re.compile(r"\n#{2,3} +(.+?) *#*$", re.MULTILINE)
_FENCED = re.compile(r"\n(```|~~~).*?\n\1", re.DOTALL)
_MARKUP = re.compile(r"\[([^\]]*)\]\([^)]*\)|[`*_\\]")
HEADINGS_A_PAGE = 12
FINDINGS_A_CALL = 100
SAMPLE = 2000
"""The most pages whose headings are looked at for topics."""


def facts(row: PageRow) -> PageFacts:
    """Reduce a page to what topics and findings need."""
    meta = row.metadata
    found = _HEADING.finditer(_FENCED.sub("\n", f"\n{row.content}"))
    headings = [heading[1] for heading in islice(found, HEADINGS_A_PAGE)]
    return PageFacts(
        uri=row.uri,
        title=row.title,
        language=str(meta.get("language") or ""),
        description=str(meta.get("description") or ""),
        site_name=str(meta.get("site_name") or ""),
        word_count=int(meta.get("word_count") or 0),
        section=tuple(str(part) for part in meta.get("section") or ()),
        headings=tuple(_MARKUP.sub(r"\1", heading) for heading in headings),
        flags=row.flags,
        blocks=tuple(sorted(set(row.blocks))[: findings.SKETCH]),
    )


async def ask_for_prompts(ledger: Ledger, persona: PersonaClient, run: Run, *, only: str = "") -> list[str]:
    """Ask auto-generate-prompts about a source's pages, 50 topics a call, and keep each answer.

    Args:
        only: ``brought``: only the pages that this run found new or changed.

    Returns:
        Different prompts in the order they came; none when there are no pages.
    """
    count = await ledger.how_many(run, only=only)
    # Of a large site an even sample says what it is about, and is all that is in memory.
    pages = [facts(row) async for row in ledger.pages(run, only=only, every=-(-count // SAMPLE) or 1)]
    chosen = topics.topics(pages, most=topics.how_many(count))
    if not chosen:
        return []
    first = min(pages, key=lambda page: (len(page.uri), page.uri))
    told = topics.context(
        site=first.site_name or run.source, description=first.description, pages=count, language=first.language
    )
    prompts: dict[str, None] = {}
    for call in topics.calls(chosen):
        answer = await persona.auto_generate_prompts(call, told)
        await ledger.keep_prompts(run, call, answer)
        prompts.update(dict.fromkeys(answer))
    return list(prompts)


async def submit_findings(ledger: Ledger, persona: PersonaClient, run: Run, *, only: str = "") -> list[Finding]:
    """Submit what a person should look at among a source's pages, and keep it.

    Args:
        only: ``brought``: only the pages that this run found new or changed.

    Returns:
        The findings that were submitted.
    """
    survey = findings.Survey(await ledger.how_many(run, only=only))
    for look in (survey.first, survey.second):
        async for row in ledger.pages(run, only=only, text=False):
            look(facts(row))
    found = survey.findings()
    for start in range(0, len(found), FINDINGS_A_CALL):
        part = found[start : start + FINDINGS_A_CALL]
        await persona.review_data([item.article for item in part], [item.note for item in part])
        await ledger.keep_findings(run, [(item.uri, item.article, item.note) for item in part])
    return found
