"""What the embedded persona says: quotations from the pages that match, with their sources, or that there are none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.persona.server.languages import language, language_of
from connectors.persona.server.search import coverage, search, terms
from connectors.persona.server.text import plain, without_addresses

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from connectors.persona.server.search import Hit, Term

ENOUGH = 0.6  # of the question's meaning stands in a passage that answers
QUOTE_CHARS = 700
MORE = 2
CODE = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer and the passages it rests on, best first; no passages when there is no answer."""

    text: str
    hits: tuple[Hit, ...] = ()


def answer(db: sqlite3.Connection, question: str) -> Reply:
    """Answer from the knowledge base, in the language of the page that answers."""
    hits = [hit for hit in search(db, question, limit=8) if hit.covered >= ENOUGH]
    if not hits:
        return Reply(text=language(language_of(question)).nothing)
    hits = hits[: 1 + MORE]
    first = hits[0]
    said = language(first.language or language_of(first.passage))
    parts = [said.quote.format(title=named(first)), quotation(first.passage, terms(db, question))]
    if first.source:
        parts.append(f"{said.source}: {first.source}")
    others = [f"- {named(hit)}" + (f": {hit.source}" if hit.source else "") for hit in hits[1:]]
    if others:
        parts.append("\n".join([said.more, *others]))
    return Reply(text="\n\n".join(parts), hits=tuple(hits))


def named(hit: Hit) -> str:
    """Return a hit's page and the place in it."""
    title = plain(hit.title)
    return f"{title} › {hit.heading}" if hit.heading else title  # noqa: RUF001 - the sign is meant


def quotation(passage: str, found: Sequence[Term]) -> str:
    """Return the paragraphs of a passage that say most about the terms, as a Markdown quotation, word for word."""
    paragraphs = _paragraphs(passage)
    if not paragraphs:
        return ""
    start = max(range(len(paragraphs)), key=lambda at: (_tells(paragraphs[at], found), -at))
    if start and _is_code(paragraphs[start]):
        start -= 1  # the words that lead up to it
    taken, size = [paragraphs[start]], len(paragraphs[start])
    for paragraph in paragraphs[start + 1 :]:
        size += len(paragraph)
        if size > QUOTE_CHARS:
            break
        taken.append(paragraph)
    text = "\n\n".join(taken)
    if len(text) > 3 * QUOTE_CHARS:
        text = text[: 3 * QUOTE_CHARS].rsplit(None, 1)[0] + " …"
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def _tells(paragraph: str, found: Sequence[Term]) -> float:
    # A sentence says what code only shows.
    return coverage(found, without_addresses(paragraph)) * (CODE if _is_code(paragraph) else 1.0)


def _is_code(paragraph: str) -> bool:
    return paragraph.lstrip().startswith(("```", "~~~", "|"))


def _paragraphs(passage: str) -> list[str]:
    """Cut a passage at blank lines outside code; headings are no paragraphs."""
    found: list[str] = []
    open_fence = False
    for piece in re.split(r"\n[ \t]*\n", passage.strip("\n")):
        if open_fence:
            found[-1] += f"\n\n{piece}"
        elif piece.strip() and not re.fullmatch(r"#{1,6}[ \t].*", piece.strip()):
            found.append(piece)
        else:
            continue
        open_fence ^= len(re.findall(r"^[ \t]{0,3}(?:```|~~~)", piece, re.MULTILINE)) % 2 == 1
    return found
