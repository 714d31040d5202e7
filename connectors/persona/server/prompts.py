"""Questions that the stored pages can answer: made from their headings, and kept only when search finds the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from connectors.persona.server.answer import ENOUGH
from connectors.persona.server.languages import language, language_of
from connectors.persona.server.search import search
from connectors.persona.server.text import folded

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from connectors.persona.server.search import Hit

PER_TOPIC = 3
MAX_PROMPTS = 200
FOUND_AMONG = 3
_NUMBER = re.compile(r"^(?:chapter|appendix|part|kapitel|chapitre)?[ \t]*(?:[0-9]+|[A-Z])(?:\.[0-9]+)*[.:)]?[ \t]+")
_MARKUP = re.compile(r"!\[[^\]]*\]\([^)]*\)|\[([^\]]*)\]\([^)]*\)|[*`]+|\\(?=[_*<>\[\]])")


def make_prompts(db: sqlite3.Connection, topics: Sequence[str], context: str = "") -> list[tuple[str, str, int]]:
    """Return ``(question, topic, page id)``; none for a topic about which nothing is stored.

    Args:
        db: the knowledge base.
        topics: what the questions shall be about.
        context: what the site is; decides between pages that speak about a topic equally.
    """
    made: dict[str, tuple[str, str, int]] = {}
    for topic in topics:
        if len(made) >= MAX_PROMPTS:
            break
        kept = 0
        for hit in _pages(db, topic, context):
            question = _question(hit, topic)
            if kept == PER_TOPIC or not question or folded(question) in made:
                continue
            if _finds(db, question, hit):
                made[folded(question)] = (question, topic, hit.page_id)
                kept += 1
    return list(made.values())


def _pages(db: sqlite3.Connection, topic: str, context: str) -> list[Hit]:
    hits = [hit for hit in search(db, topic, limit=2 * PER_TOPIC) if hit.covered >= ENOUGH]
    said = folded(context)
    return sorted(hits, key=lambda hit: folded(hit.title) not in said) if said else hits


def _question(hit: Hit, topic: str) -> str:
    lang = language(hit.language or language_of(hit.passage))
    # A heading "Examples" says nothing without its page; a page's title does.
    names = [_name(part) for part in reversed(hit.heading.split(" › ")) if part] + [_name(hit.title)]  # noqa: RUF001
    name = next((name for name in names if _about(name, topic)), _name(topic))
    if not name or len(name) > 120:  # noqa: PLR2004 - longer is a sentence, no subject
        return ""
    if name.endswith(("?", "？")):  # noqa: RUF001 - a full-width mark is one too
        return name
    if lang is language("en") and re.match(r"(?:how|why|what|when|where) ", name, re.IGNORECASE):
        return f"{name}?"
    if lang is language("en") and re.match(r"[A-Z]?[a-z]{3,}ing\b", name):
        return f"What should I know about {name[0].lower()}{name[1:]}?"
    template = lang.what if len(name.split()) <= 2 else lang.about  # noqa: PLR2004 - a term, not a phrase
    return template.format(topic=name)


def _name(text: str) -> str:
    text = _MARKUP.sub(lambda found: found[1] or "", text).strip(" ¶#:.\t")
    return " ".join(_NUMBER.sub("", text).split())


def _about(name: str, topic: str) -> bool:
    said = folded(name)
    return any(word in said for word in folded(topic).split() if len(word) > 2)  # noqa: PLR2004


def _finds(db: sqlite3.Connection, question: str, wanted: Hit) -> bool:
    """Say whether somebody who asks this is led to the page."""
    hits = search(db, question, limit=FOUND_AMONG)
    return any(hit.page_id == wanted.page_id and hit.covered >= ENOUGH for hit in hits)
