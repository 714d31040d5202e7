"""Joins the ledger's pages with what the persona is told about them: prompts and review."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from connectors.enrich import findings, topics
from connectors.models import PageFacts

if TYPE_CHECKING:
    from connectors.ledger import Ledger, PageRow, Run
    from connectors.persona.client import PersonaClient

log = logging.getLogger(__name__)

_HEADING = re.compile(r"^#{2,3} +(.+?) *#*$", re.MULTILINE)
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_MARKUP = re.compile(r"\[([^\]]*)\]\([^)]*\)|[`*_\\]")
HEADINGS_A_PAGE = 12
FINDINGS_A_CALL = 100


def facts(row: PageRow) -> PageFacts:
    """Reduce a page to what topics and findings need."""
    meta = row.metadata
    headings = _HEADING.findall(_FENCED.sub("", row.content))[:HEADINGS_A_PAGE]
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
        blocks=row.blocks,
    )


async def brought(ledger: Ledger, run: Run) -> list[PageFacts]:
    """Return the facts of the pages that this run found new or changed."""
    return [facts(row) async for row in ledger.pages(run, only="brought")]


async def ask_for_prompts(ledger: Ledger, persona: PersonaClient, run: Run, *, site: str) -> list[str]:
    """Ask auto-generate-prompts about what this run brought, 50 topics a call, and keep the answer.

    Returns:
        Different prompts in the order they came; none when the run brought no page.
    """
    pages = await brought(ledger, run)
    chosen = topics.topics(pages)
    if not chosen:
        return []
    first = min(pages, key=lambda page: (len(page.uri), page.uri))
    told = topics.context(
        site=first.site_name or site, description=first.description, pages=len(pages), language=first.language
    )
    prompts: dict[str, None] = {}
    for call in topics.calls(chosen):
        answer = await persona.auto_generate_prompts(call, told)
        await ledger.keep_prompts(run, call, answer)
        prompts.update(dict.fromkeys(answer))
    return list(prompts)


async def submit_findings(ledger: Ledger, persona: PersonaClient, run: Run) -> int:
    """Submit what a person should look at among this run's news, and keep it.

    Returns:
        How many findings were submitted.
    """
    found = findings.findings(await brought(ledger, run))
    for start in range(0, len(found), FINDINGS_A_CALL):
        part = found[start : start + FINDINGS_A_CALL]
        await persona.review_data([item.article for item in part], [item.note for item in part])
        await ledger.keep_findings(run, [(item.uri, item.article, item.note) for item in part])
    return len(found)
