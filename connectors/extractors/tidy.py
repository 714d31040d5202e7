"""What all extractors share: the text that is sent, its hashes, and what repeats over a site."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from connectors.models import Draft, sha256_hex

if TYPE_CHECKING:
    from connectors.models import CleaningRules, Page

CLEANER_VERSION = 2
"""Part of every fingerprint: a cleaner that writes other text for the same bytes gets another number."""

_FENCE = re.compile(r"^\s*(?:>\s*)*(?:[-*+]\s+|\d+\.\s+)*(`{3,}|~{3,})")
_NEAR = 6
_HEADING = re.compile(r"^(#{1,6})\s+(.*)$")
_NO_WORD = re.compile(r"[\W_]+")
_MARKUP = re.compile(r"\[\^?([^\]]*)\]\([^)]*\)|[*`\\]|^#+\s+")
_SMUGGLED = "[\U000e0000-\U000e007f\x00-\x08\x0b\x0c\x0e-\x1f]"  # compiled by the first page that has some
_TAG_BYTES = b"\xf3\xa0"  # how U+E0000 to U+E0FFF begin in UTF-8
_CONTROL_BYTES = bytes(sign for sign in range(32) if sign not in b"\t\n\r")
_CJK_BYTES = b"\xe0\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xeb\xec\xed"  # how scripts without word spaces begin
_ORDINARY = bytes(set(range(256)) - {*_TAG_BYTES[:1], *_CONTROL_BYTES, *_CJK_BYTES})
_ZERO_WIDTH = "\u200b\u2060\ufeff\u00ad\u180e"
_INVISIBLE = f"[{_ZERO_WIDTH}]"
_ASCII = bytes(range(128))
_SPACE_BYTES = bytes(sign for sign in range(128) if chr(sign).isspace())
_INK = bytes(set(_ASCII) - set(_SPACE_BYTES))
_WIDE_SPACE = tuple(
    sign.encode()
    for sign in (
        "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
    )
)
_MOST_REMOVED = 0.5


def normal(text: str) -> str:
    """Fold white space: how delivered content is compared everywhere."""
    return " ".join(text.split())


def letters(text: str) -> int:
    """Return how many characters of a text are no white space."""
    rest = encoded(text).translate(None, _INK)  # few bytes, and each character's stay together
    wide = rest.translate(None, _SPACE_BYTES)
    spaces = len(rest) - len(wide)
    if wide:
        spaces += sum([wide.count(sign) for sign in _WIDE_SPACE])
    return len(text) - spaces


@lru_cache(maxsize=1)
def encoded(text: str) -> bytes:
    """Return a page's text as bytes: they are searched ten times as fast as text is by a pattern."""
    return text.encode("utf-8", "surrogatepass")


def may_smuggle(raw: bytes) -> bool:
    """Say whether a text, in UTF-8, may hold Unicode tags: nearly none does."""
    return _TAG_BYTES[:1] in raw and _TAG_BYTES in raw  # to look for one byte is ten times as fast


@lru_cache(maxsize=2)
def _odd(text: str) -> bytes:
    """Return the bytes of a text that are seldom there: controls, and beginnings of tags and of CJK."""
    return encoded(text).translate(None, _ORDINARY)


def may_be_cjk(text: str) -> bool:
    """Say whether a text may hold characters of scripts without word spaces."""
    odd = _odd(text)
    return len(odd.translate(None, _CJK_BYTES)) < len(odd)


@lru_cache(maxsize=2)  # a page's text is asked for at each step that hands it on
def visible(text: str) -> str:
    """Drop characters that nobody sees: Unicode tags and controls everywhere, zero-width ones except in code."""
    if _odd(text).translate(None, _CJK_BYTES):
        text = re.sub(_SMUGGLED, "", text)
    if text.isascii() or not any(sign in text for sign in _ZERO_WIDTH):
        return text
    if "```" not in text:
        return re.sub(_INVISIBLE, "", text)
    blocks = (block if "```" in block else re.sub(_INVISIBLE, "", block) for block in split_blocks(text))
    return "\n\n".join(blocks)


def plain(text: str) -> str:
    """Return a line of Markdown as plain text: links by their text, no markers."""
    return normal(_MARKUP.sub(lambda found: found.group(1) or "", text))


def split_blocks(content: str) -> list[str]:
    """Return the blocks of a Markdown text: what blank lines part, code fences whole."""
    blocks: list[str] = []
    lines: list[str] = []
    fence = ""
    fenced = "```" in content or "~~~" in content
    for chunk in content.split("\n\n"):
        marked = fenced and ("```" in chunk or "~~~" in chunk)
        if fence:
            lines.append("")
            if not marked:
                lines.append(chunk)
                continue
        elif _is_fence(chunk) if marked else not _has_blank_line(chunk):
            if block := chunk.strip("\n"):
                blocks.append(block)
            continue
        for line in chunk.split("\n"):
            if fence or (line and not line.isspace()):
                lines.append(line)
                fence = _fence_after(line, fence)
            elif lines:
                blocks.append("\n".join(lines))
                lines = []
        if lines and not fence:
            blocks.append("\n".join(lines))
            lines = []
    return [*blocks, "\n".join(lines)] if lines else blocks


def _is_fence(chunk: str) -> bool:
    """Say whether a text is a code fence of three backticks, from the first to the last, and nothing else."""
    return (
        chunk.startswith("```")
        and chunk.endswith("\n```")
        and chunk[3] != "`"
        and chunk.count("```") == 2  # noqa: PLR2004 - it opens and it closes
        and "~~~" not in chunk
    )


def _has_blank_line(chunk: str) -> bool:
    return any(map(str.isspace, chunk.split("\n"))) if "\n" in chunk else chunk.isspace()


def _fence_after(line: str, fence: str) -> str:
    """Return the fence that is open after a line; empty when none is."""
    found = _FENCE.match(line) if "```" in line or "~~~" in line else None
    if found is None:
        return fence
    ticks = found.group(1)
    if not fence:
        return ticks
    return "" if ticks[0] == fence[0] and len(ticks) >= len(fence) and line.strip(" >") == ticks else fence


def block_hash(block: str) -> int:
    """Return the 64-bit hash (unsigned) of a block's text, white space folded."""
    return _short_hash(_folded(block))


def hashes(content: str) -> tuple[int, ...]:
    """Return the hashes of a text's blocks, in order."""
    return tuple([_short_hash(folded) for _, folded in _parts(content)])


def word_count(content: str) -> int:
    """Return how many words, parted by white space, a text has."""
    return sum([folded.count(b" ") + 1 for _, folded in _parts(content)])


@lru_cache(maxsize=1)
def _parts(content: str) -> tuple[tuple[str, bytes], ...]:
    """Return a text's blocks, each as it is and folded: the same text is hashed, counted and sent in one go."""
    fold = _folded_line if _has_plain_spaces(content) else _folded
    return tuple([(block, fold(block)) for block in split_blocks(content)])


def _has_plain_spaces(text: str) -> bool:
    """Say whether all white space of a text is spaces and line feeds."""
    if "\t" in text or "\r" in text or _odd(text).translate(None, _CJK_BYTES):
        return False
    wide = b"" if text.isascii() else encoded(text).translate(None, _ASCII)
    return not any(sign in wide for sign in _WIDE_SPACE)


def _folded_line(block: str) -> bytes:
    """Do `_folded` for a text in which all white space is spaces and line feeds: mostly it is folded already."""
    line = block.replace("\n", " ")
    if "  " in line or line[0] == " " or line[-1] == " ":
        return _folded(line)
    return line.encode("utf-8", "replace")


def _folded(text: str) -> bytes:
    return " ".join(text.split()).encode("utf-8", "replace")


def _short_hash(folded: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(folded, digest_size=8).digest(), "big")


def squeezed(text: str) -> str:
    """Return letters and digits only, caseless: what is left when markup and punctuation do not count."""
    return _NO_WORD.sub("", text).casefold()


def _titled(title: str, content: str) -> list[tuple[str, bytes]]:
    """Return the blocks of ``content`` under one h1 that is the title, each as it is and folded.

    The text's own first heading, or an h1 near its beginning, is that h1 where it has the title's words (its links and
    code stay, and what stands before it); any other h1 goes one level down.
    """
    parts = _parts(content)
    own = _place_of_title(title, [block for block, _ in parts[:_NEAR]])
    demoted = [(f"#{block}", b"#" + folded) if block.startswith("# ") else (block, folded) for block, folded in parts]
    head = f"# {title}" if own is None else f"# {parts[own][0].lstrip('# ')}"
    if own is None:
        return [(head, _folded(head)), *demoted]
    demoted[own] = (head, _folded(head))
    return demoted


def _place_of_title(title: str, blocks: list[str]) -> int | None:
    """Return where a text says its title itself; None when it does not say it at its beginning."""
    wanted = ""
    for place, block in enumerate(blocks):
        found = _HEADING.match(block)
        if found is None or "\n" in block or (place and found.group(1) != "#"):
            continue
        said = plain(found.group(2))
        wanted = wanted or squeezed(title)
        if said == title or squeezed(said) == wanted:
            return place
    return None


@lru_cache(maxsize=64)
def config_fingerprint(rules: CleaningRules) -> str:
    """Return the hash of everything but the page that decides how it is cleaned."""
    return sha256_hex(json.dumps([CLEANER_VERSION, asdict(rules)], sort_keys=True).encode())


def draft(page: Page, rules: CleaningRules) -> Draft:
    """Return the page as it would be sent, and the hashes that say whether that is news."""
    title = normal(visible(page.title)) or page.uri
    parts = _titled(title, visible(page.content))
    text_hash = sha256_hex(b" ".join([_folded(title), *[folded for _, folded in parts]]))
    body = "\n\n".join([block for block, _ in parts])
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
