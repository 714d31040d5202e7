"""Questions that the stored pages can answer: made from their headings, and kept only when search finds the page."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING

from connectors.persona.server.answer import ENOUGH
from connectors.persona.server.languages import language, language_of
from connectors.persona.server.search import search
from connectors.persona.server.shelf import Shelf
from connectors.persona.server.text import folded, plain

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from connectors.persona.server.search import Hit

log = logging.getLogger(__name__)

PER_TOPIC = 3
MAX_PROMPTS = 200
AT_MOST_S = 2.0
"""Of the processor's time for one call, whatever the site."""
FOUND_AMONG = 3
_NUMBER = re.compile(r"^(?:(?:chapter|appendix|part|kapitel|chapitre)[ \t]+)?(?:[0-9]+|[A-Z])(?:\.[0-9]+)*[.:)]*[ \t]+")
_CODE = re.compile(r"->|=>|<[A-Za-z'/]|\(&|[{};]")
"""What no name has: nobody asks about the whole signature of a function."""
_WAYS = (
    "add access apply ask authenticate back build call change check choose clean clone compile configure connect"
    " control convert copy create customize customise debug define delete deploy develop disable display download"
    " edit embed enable execute export extend filter find fix format generate get handle implement import improve"
    " include install integrate join launch limit list load make manage map measure merge migrate monitor move open"
    " optimize organize parse pass pay perform prepare print process protect publish query read receive record"
    " remove rename replace report request reset resolve restore restrict retrieve return rotate run save schedule"
    " search secure select send serve set share show sort specify split start stop store subclass submit switch test"
    " trace track troubleshoot uninstall update upgrade upload use validate verify view wait work write"
)
_VERBS = frozenset(_WAYS.split())


def make_prompts(
    db: sqlite3.Connection, topics: Sequence[str], context: str = "", *, at_most_s: float = AT_MOST_S
) -> list[tuple[str, str, int]]:
    """Return ``(question, topic, page id)``; none for a topic about which nothing is stored.

    Args:
        db: the knowledge base.
        topics: what the questions shall be about.
        context: what the site is; decides between pages that speak about a topic equally.
        at_most_s: of the processor's time; what is made by then is the answer.
    """
    made: dict[str, tuple[str, str, int]] = {}
    ends_at, shelf = time.thread_time() + at_most_s, Shelf["Hit"]()
    for number, topic in enumerate(topics):
        if len(made) >= MAX_PROMPTS or time.thread_time() > ends_at:
            log.warning("Prompts were made of the first %d of %d topics: a call is bounded.", number, len(topics))
            break
        kept = 0
        for hit in _pages(db, topic, context, shelf):
            question = _question(hit, topic)
            if kept == PER_TOPIC or not question or folded(question) in made:
                continue
            if _finds(db, question, hit, shelf):
                made[folded(question)] = (question, topic, hit.page_id)
                kept += 1
    return list(made.values())


def _pages(db: sqlite3.Connection, topic: str, context: str, shelf: Shelf[Hit]) -> list[Hit]:
    hits = [hit for hit in search(db, topic, limit=2 * PER_TOPIC, shelf=shelf) if hit.covered >= ENOUGH]
    said = folded(context)
    return sorted(hits, key=lambda hit: folded(hit.title) not in said) if said else hits


def _question(hit: Hit, topic: str) -> str:
    lang = language(hit.language or language_of(hit.passage))
    # A heading "Examples" says nothing without its page; a page's title does.
    names = [_name(part) for part in reversed(hit.heading.split(" › ")) if part] + [_name(hit.title)]  # noqa: RUF001
    name = next((name for name in names if _about(name, topic) and not _CODE.search(name)), _name(topic))
    if not name or len(name) > 120:  # noqa: PLR2004 - longer is a sentence, no subject
        return ""
    if name.endswith(("?", "？")):  # noqa: RUF001 - a full-width mark is one too
        return name
    if lang is language("en"):
        return _english(name)
    return (lang.what if len(name.split()) <= 2 else lang.about).format(topic=name)  # noqa: PLR2004 - a term


def _english(name: str) -> str:
    first, _, rest = name.partition(" ")
    if re.match(r"how to \w", name, re.IGNORECASE):
        return f"How do I {name[7:]}?"
    if first.lower() in {"how", "why", "what", "when", "where", "which", "who"} and rest:
        return f"{name}?"
    verb = next((verb for verb in _bases(first.lower()) if verb in _VERBS), "")
    if verb and rest and rest.split()[0].lower() not in {"and", "of", "or", "without"}:
        return f"How do I {verb} {rest}?"
    if verb or len(name.split()) > 3:  # noqa: PLR2004 - a phrase, not a term
        return f"What should I know about {name}?"
    plural = re.search(r"[a-z]{2}[^su\Wi]s$", name) or re.search(r"(?:ses|xes|zes)$", name)
    return f"What {'are' if plural else 'is'} {name}?"


def _bases(word: str) -> list[str]:
    """Return the verbs that a word may be a form of: ``installing``, ``using``, ``running``; the word itself first."""
    stem = word.removesuffix("ing")
    return [word] if stem == word else [stem, f"{stem}e", stem[:-1]]


def _name(text: str) -> str:
    """Return what a heading or title names: without its number, and without what a dash explains."""
    name = _NUMBER.sub("", plain(text)).strip(" ¶#:.\t")
    head, dash, _ = name.partition(" — ")
    return head if dash and len(head.split()) <= 3 else name  # noqa: PLR2004 - a term


def _about(name: str, topic: str) -> bool:
    said = folded(name)
    return any(word in said for word in folded(topic).split() if len(word) > 2)  # noqa: PLR2004


def _finds(db: sqlite3.Connection, question: str, wanted: Hit, shelf: Shelf[Hit]) -> bool:
    """Say whether somebody who asks this is led to the page."""
    hits = search(db, question, limit=FOUND_AMONG, shelf=shelf)
    return any(hit.page_id == wanted.page_id and hit.covered >= ENOUGH for hit in hits)
