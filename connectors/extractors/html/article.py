"""trafilatura: the second opinion for articles and for pages of no known system."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from connectors.extractors.html.kinds import unseen
from connectors.extractors.tidy import plain, split_blocks, squeezed

if TYPE_CHECKING:
    from connectors.extractors.html.blocks import Block, Blocks, Part
    from connectors.extractors.html.document import Document


_SHORT = 400
_BELIEVED = 0.5
_BELIEVED_OF_PAGE = 0.05
_KEPT = 0.5
_MAX_CHARS = 2_000_000  # its cost grows faster than the page


_WORD = re.compile(r"\w+")
_TARGET = re.compile(r"\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*\)")
_SIZE = 3
_HOLDS_PARAGRAPHS = frozenset({"div", "section", "article", "main", "body", "center"})
_A_SENTENCE = 16  # words; what breaks alone set apart are paragraphs to a reader


def _shingles(text: str) -> list[tuple[str, ...]]:
    words = _WORD.findall(_TARGET.sub("]", text).lower())
    size = min(_SIZE, len(words))
    return [tuple(words[place : place + size]) for place in range(len(words) - size + 1)] if size else []


def filtered(content: str, html: str, uri: str) -> str:
    """Return an article's Markdown without the blocks that trafilatura does not take for the article's text.

    The structure stays ours: only whole blocks go, code never, a heading only with all that stands under it, and
    nothing when trafilatura found too little to be believed.

    Args:
        content: the Markdown.
        html: what it was written from.
        uri: the page's address.
    """
    if len(html) > _MAX_CHARS or len(content) < _SHORT:
        return content
    blocks = split_blocks(content)
    wanted = [_shingles(block) for block in blocks]
    shares = _shares(wanted, _text_of(f"<html><body><article>{html}</article></body></html>", uri))
    total = sum(map(len, wanted)) or 1
    believed = sum(share * len(own) for share, own in zip(shares, wanted, strict=True)) / total
    if believed < _BELIEVED:
        return content
    kept = [share >= _KEPT or "```" in block for share, block in zip(shares, blocks, strict=True)]
    for place in range(len(blocks) - 1, -1, -1):
        if blocks[place].startswith("#"):
            after = place + 1
            kept[place] = kept[place] or blocks[place].startswith("# ")
            kept[place] = kept[place] and (after >= len(blocks) or kept[after] or blocks[place].startswith("# "))
    return "\n\n".join(block for block, keep in zip(blocks, kept, strict=True) if keep)


def opinion(found: Blocks, uri: str, html: str = "") -> list[float] | None:
    """Return how much of each block trafilatura takes for the article that a page is; None when it finds too little.

    Args:
        found: the page's blocks.
        uri: its address.
        html: the whole page, for who has the time; empty: an outline of its blocks is read.
    """
    html = html or _outline(found)
    if len(html) > _MAX_CHARS:
        return None
    wanted = [_shingles(block.text) for block in found.blocks]
    shares = _shares(wanted, _text_of(html, uri))
    total = sum(map(len, wanted)) or 1
    held = sum(share * len(own) for share, own in zip(shares, wanted, strict=True))
    return shares if held >= _BELIEVED_OF_PAGE * total else None


def _outline(found: Blocks) -> str:
    """Return a page that says no more than its blocks, their elements' names and what of them is linked.

    It is read in half the time of the whole page, and what is found in it is much the same.
    """
    out = ["<html>"]
    opened: list[Part] = []
    for block in found.blocks:
        inner: list[Part] = []
        part: Part | None = block.part
        while part is not None and (part.depth >= len(opened) or opened[part.depth] is not part):
            inner.append(part)
            part = part.up
        stays = 0 if part is None else part.depth + 1
        out.extend(f"</{one.tag}>" for one in reversed(opened[stays:]))
        opened[stays:] = reversed(inner)
        out.extend(_opening(one) for one in opened[stays:])
        out.append(_told(block))
    return "".join(out)  # what is open at the end, the parser closes


def _opening(part: Part) -> str:
    if not part.named:
        return f"<{part.tag}>"
    kinds = part.named
    if part.classes or part.ident:
        kinds = kinds.removeprefix(f"{part.classes} {part.ident}").strip()
    said = (("class", part.classes), ("id", part.ident), ("role", kinds), ("itemprop", kinds))
    attributes = "".join(f' {key}="{escape(value)}"' for key, value in said if value)
    return f"<{part.tag}{attributes}>"


def _told(block: Block) -> str:
    text = escape(block.text)
    if block.linked:
        words = block.text.split(" ")
        linked, rest = " ".join(words[: block.linked]), " ".join(words[block.linked :])
        text = f'<a href="/">{escape(linked)}</a> {escape(rest)}'
    loose = block.part.tag in _HOLDS_PARAGRAPHS and block.words - block.linked >= _A_SENTENCE
    return f"<p>{text}</p>" if loose else f"{text} "


def _shares(wanted: list[list[tuple[str, ...]]], text: str) -> list[float]:
    words = _WORD.findall(text.lower())
    known = {
        size: {tuple(words[place : place + size]) for place in range(len(words) - size + 1)}
        for size in range(1, _SIZE + 1)
    }
    return [sum(one in known[len(one)] for one in own) / len(own) if own else 0.0 for own in wanted]


def _trafilatura() -> Any:
    import logging

    import trafilatura  # half a second, and most pages never need it

    # It reports every page that it finds nothing in as an error; what that means is ours to say.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    return trafilatura


def _text_of(html: str, uri: str) -> str:
    trafilatura = _trafilatura()
    try:
        return trafilatura.extract(html, url=uri, fast=True, include_formatting=False, include_comments=False) or ""
    except Exception:  # noqa: BLE001 - whatever a hostile page does to it
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What trafilatura took for the main text."""

    markdown: str


def _seen(text: str, document: Document) -> str:
    """Drop the blocks that stand in hidden elements: trafilatura reads them like any other."""
    hidden = squeezed(" ".join(node.text(separator=" ") or "" for node in unseen(document.tree)))
    if not hidden:
        return text
    return "\n\n".join(block for block in split_blocks(text) if squeezed(plain(block)) not in hidden)


def extract(document: Document, *, recall: bool = False) -> Found | None:
    """Return what trafilatura finds; None when it finds nothing. Its own errors are no reason to lose a page.

    Args:
        document: the parsed page.
        recall: take more for content.
    """
    if len(document.decoded.text) > _MAX_CHARS:
        return None
    trafilatura = _trafilatura()
    try:
        text = trafilatura.extract(
            document.decoded.text,
            url=document.uri,
            output_format="markdown",
            include_links=True,
            include_formatting=True,
            favor_recall=recall,
        )
    except Exception:  # noqa: BLE001 - whatever a hostile page does to it
        return None
    if not text:
        return None
    return Found(markdown=_seen(text, document))
