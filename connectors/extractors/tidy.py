"""What all extractors share: the text that is sent, its hashes, and what repeats over a site."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from connectors.models import Draft, sha256_hex

if TYPE_CHECKING:
    from connectors.models import CleaningRules, Page

CLEANER_VERSION = 1
"""Part of every fingerprint: a cleaner that writes other text for the same bytes gets another number."""

_FENCE = re.compile(r"^\s*(?:>\s*)*(?:[-*+]\s+|\d+\.\s+)*(`{3,}|~{3,})")
_NEAR = 6
_HEADING = re.compile(r"^(#{1,6})\s+(.*)$")
_NO_WORD = re.compile(r"[\W_]+")
_MARKUP = re.compile(r"\[\^?([^\]]*)\]\([^)]*\)|[*`\\]|^#+\s+")
_SMUGGLED = re.compile("[\U000e0000-\U000e007f\x00-\x08\x0b\x0c\x0e-\x1f]")
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad\u180e]")
_MOST_REMOVED = 0.5


def normal(text: str) -> str:
    """Fold white space: how delivered content is compared everywhere."""
    return " ".join(text.split())


def visible(text: str) -> str:
    """Drop characters that nobody sees: Unicode tags and controls everywhere, zero-width ones except in code."""
    text = _SMUGGLED.sub("", text)
    if text.isascii() or not _INVISIBLE.search(text):
        return text
    if "```" not in text:
        return _INVISIBLE.sub("", text)
    blocks = (block if "```" in block else _INVISIBLE.sub("", block) for block in split_blocks(text))
    return "\n\n".join(blocks)


def plain(text: str) -> str:
    """Return a line of Markdown as plain text: links by their text, no markers."""
    return normal(_MARKUP.sub(lambda found: found.group(1) or "", text))


def split_blocks(content: str) -> list[str]:
    """Return the blocks of a Markdown text: what blank lines part, code fences whole."""
    blocks: list[str] = []
    lines: list[str] = []
    fence = ""
    for line in content.split("\n"):
        if not line.strip() and not fence:
            if lines:
                blocks.append("\n".join(lines))
                lines = []
            continue
        lines.append(line)
        found = _FENCE.match(line)
        if found:
            ticks = found.group(1)
            if not fence:
                fence = ticks
            elif ticks[0] == fence[0] and len(ticks) >= len(fence) and line.strip(" >") == ticks:
                fence = ""
    if lines:
        blocks.append("\n".join(lines))
    return blocks


def block_hash(block: str) -> int:
    """Return the 64-bit hash (unsigned) of a block's text, white space folded."""
    digest = hashlib.blake2b(normal(block).encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def hashes(content: str) -> tuple[int, ...]:
    """Return the hashes of a text's blocks, in order."""
    return tuple(map(block_hash, split_blocks(content)))


def squeezed(text: str) -> str:
    """Return letters and digits only, caseless: what is left when markup and punctuation do not count."""
    return _NO_WORD.sub("", text).casefold()


def one_title(title: str, content: str) -> str:
    """Return ``content`` under one h1 that is the title.

    The text's own first heading, or an h1 near its beginning, is that h1 where it has the title's words (its links and
    code stay, and what stands before it); any other h1 goes one level down.
    """
    blocks = split_blocks(content)
    own = _place_of_title(title, blocks)
    demoted = [f"#{block}" if block.startswith("# ") else block for block in blocks]
    if own is None:
        return "\n\n".join([f"# {title}", *demoted])
    demoted[own] = f"# {blocks[own].lstrip('# ')}"
    return "\n\n".join(demoted)


def _place_of_title(title: str, blocks: list[str]) -> int | None:
    """Return where a text says its title itself; None when it does not say it at its beginning."""
    wanted = squeezed(title)
    for place, block in enumerate(blocks[:_NEAR]):
        found = _HEADING.match(block)
        if found is None or "\n" in block or (place and found.group(1) != "#"):
            continue
        if squeezed(plain(found.group(2))) == wanted:
            return place
    return None


def config_fingerprint(rules: CleaningRules) -> str:
    """Return the hash of everything but the page that decides how it is cleaned."""
    return sha256_hex(json.dumps([CLEANER_VERSION, asdict(rules)], sort_keys=True).encode())


def draft(page: Page, rules: CleaningRules) -> Draft:
    """Return the page as it would be sent, and the hashes that say whether that is news."""
    title = normal(visible(page.title)) or page.uri
    body = one_title(title, visible(page.content))
    text_hash = sha256_hex(normal(f"{title}\n{body}").encode("utf-8", "replace"))
    return Draft(
        page=page,
        content=f"Source: {page.uri}\n\n{body}\n",
        text_hash=text_hash,
        fingerprint=sha256_hex(f"{text_hash} {config_fingerprint(rules)}".encode()),
    )


def _emptied_headings(blocks: list[str], gone: set[int]) -> set[int]:
    """Return the headings that repeat and under which nothing is left."""
    out: set[int] = set()
    for place in sorted(gone, reverse=True):
        found = _HEADING.match(blocks[place])
        if not found:
            continue
        level = len(found.group(1))
        empty = True
        for after in range(place + 1, len(blocks)):
            next_heading = _HEADING.match(blocks[after])
            if next_heading and len(next_heading.group(1)) <= level:
                break
            if after not in gone or (next_heading and after not in out):
                empty = False
                break
        if empty:
            out.add(place)
    return out


def without_repeated(page: Page, repeated: frozenset[int]) -> Page:
    """Drop the blocks that stand on most pages of the site.

    Guarded: never more than half of a page, never a heading that still has something under it, never code.
    """
    if not repeated or not repeated.intersection(page.blocks):
        return page
    blocks = split_blocks(page.content)
    candidates = {place for place, block in enumerate(blocks) if "```" not in block and block_hash(block) in repeated}
    headings = _emptied_headings(blocks, candidates)
    gone = {place for place in candidates if not _HEADING.match(blocks[place]) or place in headings}
    removed = sum(len(blocks[place]) for place in gone)
    if not gone or removed > _MOST_REMOVED * sum(map(len, blocks)):
        return page
    content = "\n\n".join(block for place, block in enumerate(blocks) if place not in gone)
    return replace(page, content=content, blocks=hashes(content))
