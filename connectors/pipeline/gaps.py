"""Joins chats with the ledger: what people ask in vain, and whether the source has a page about it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.enrich import gaps
from connectors.pipeline import parts, records

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from connectors.persona.client import PersonaClient
    from connectors.settings import PersonaSettings, StateSettings

MOST = 100
A_CALL = 50
_RECORD = "content-gaps.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentGap:
    """A kind of question without a good answer, and where the source stands on it.

    Attributes:
        standing: ``exists`` (a page is there and did not help), ``skipped`` or ``failed`` (``rule`` says by what),
            ``not-written``.
    """

    topic: str
    questions: tuple[str, ...]
    asked: int
    users: int
    reason: gaps.Reason
    standing: gaps.Standing
    uri: str
    rule: str
    source: str

    def note(self) -> str:
        """Return one sentence for the person who reviews it."""
        where = {
            "exists": f"a page about it is there ({self.uri}) and did not answer",
            "skipped": f"its page {self.uri} was skipped by the rule {self.rule}",
            "failed": f"its page {self.uri} failed: {self.rule}",
            "not-written": "no page of any source seems to be about it",
        }[self.standing]
        times = "once" if self.asked == 1 else f"{self.asked} times"
        people = "one person" if self.users == 1 else f"{self.users} people"
        bad = {
            "unanswered": "without an answer",
            "objected": "and the answer was rejected",
            "asked-again": "and again in other words",
            "beside-the-point": "and answered beside the point",
        }[self.reason]
        return f"Asked {times} by {people}, {bad}: {where}. For example: {self.questions[0]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GapReport:
    """What `find_content_gaps` found and did.

    Attributes:
        prompts: what auto-generate-prompts answered about the gaps' topics.
        reviewed: how many gaps were new and were submitted for review.
    """

    chats: int
    questions: int
    gaps: tuple[ContentGap, ...]
    prompts: tuple[str, ...] = ()
    reviewed: int = 0


async def find_content_gaps(
    *, persona: PersonaSettings, state: StateSettings, submit: bool = True, most: int = MOST
) -> GapReport:
    """Find what people ask in vain.

    Args:
        persona: whose chats are read.
        state: where the ledger is, and the record of what was submitted before.
        submit: offer the topics of new gaps to auto-generate-prompts and the gaps to review-data; what was submitted
            once is not submitted again.
        most: how many gaps are told, those asked most often first.
    """
    destination = await parts.open_destination(None, persona=persona, state=state)
    client = destination.client
    try:
        found = await _exchanges(client)
        grouped = gaps.gaps([item for chat in found for item in chat])[:most]
        sightings = await _sightings(state, destination.key)
        told = tuple(
            _content_gap(gap, place) for gap, place in zip(grouped, gaps.places(grouped, sightings), strict=True)
        )
        report = GapReport(chats=len(found), questions=sum(map(len, found)), gaps=told)
        return await _submit(client, report, folder=state.folder(), key=destination.key) if submit else report
    finally:
        await client.close()


async def _exchanges(client: PersonaClient) -> list[list[gaps.Exchange]]:
    found = []
    for chat in await client.chats():
        # A history may list its chats without what was said.
        messages = chat.messages or await client.messages(chat.chat_id)
        found.append(gaps.exchanges(chat.chat_id, chat.user_id, messages))
    return found


def _content_gap(gap: gaps.Gap, place: gaps.Place) -> ContentGap:
    return ContentGap(
        topic=gap.topic,
        questions=gap.questions,
        asked=gap.asked,
        users=gap.users,
        reason=gap.reason,
        standing=place.standing,
        uri=place.uri,
        rule=place.rule,
        source=place.source,
    )


async def _submit(client: PersonaClient, report: GapReport, *, folder: Path, key: str) -> GapReport:
    """Offer what is new, and remember each part as soon as it was taken."""
    path = folder / _RECORD
    known = set(records.read(path).get(key, []))
    new = [gap for gap in report.gaps if _fingerprint(gap) not in known]
    prompts: dict[str, None] = {}
    for start in range(0, len(new), A_CALL):
        part = new[start : start + A_CALL]
        topics = list(dict.fromkeys(gap.topic for gap in part))
        prompts.update(dict.fromkeys(await client.auto_generate_prompts(topics, "Questions without a good answer")))
        await client.review_data([f"Content gap: {gap.topic}" for gap in part], [gap.note() for gap in part])
        known |= {_fingerprint(gap) for gap in part}
        records.write(path, records.read(path) | {key: sorted(known)})
    return GapReport(
        chats=report.chats, questions=report.questions, gaps=report.gaps, prompts=tuple(prompts), reviewed=len(new)
    )


def _fingerprint(gap: ContentGap) -> str:
    """Return what makes a gap another one: its words and where the source stands, not how often it was asked."""
    told = json.dumps([sorted(gaps.telling(gap.topic)), gap.standing, gap.rule], ensure_ascii=False)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


async def _sightings(state: StateSettings, destination: str) -> Sequence[gaps.Sighting]:
    if state.ledger is None and not (state.folder() / "ledger.sqlite3").exists():
        return ()
    async with parts.open_ledger(state) as ledger:
        return [
            gaps.Sighting(uri=met.uri, title=met.title, outcome=met.outcome, rule=met.rule, source=met.source)
            for met in await ledger.met(destination)
        ]
