"""PDF: converted by kreuzberg, checked and mended by what pdfium says of the same pages."""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.extractors import pdf_mend
from connectors.extractors.office import convert, properties
from connectors.extractors.paper import DIFFERENCE, Properties, Text, UnreadableError, extracted, heading, words
from connectors.media_types import PDF

if TYPE_CHECKING:
    from connectors.models import CleaningRules, Extracted, Resource

PAGES = 5_000
SCANNED = 12  # letters: a page with an image and fewer of them is a picture of text
LOST = 0.4
_FIXED_PITCH = 0x1
_MONO = re.compile(r"mono|cour|consol|menlo|typewriter|cmtt|cmsltt|sltt|code|fixed|ectt|lmtt|sftt", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What pdfium sees.

    Attributes:
        pages: the text of each page, line by line.
        code: runs of lines in a typewriter face, with their indent, in order.
        outline: level (from 0) and title of every bookmark.
        pictures: numbers of the pages (from 1) that hold a picture and hardly a letter.
    """

    pages: tuple[str, ...]
    code: tuple[str, ...]
    outline: tuple[tuple[int, str], ...]
    pictures: tuple[int, ...]


def extract(resource: Resource, rules: CleaningRules) -> Extracted:
    """Make the pages of a PDF: one, or one a chapter when it is long and has an outline.

    Raises:
        UnreadableError: ``encrypted``, ``broken``, ``needs-ocr`` or ``too-large``.
    """
    body = resource.body or b""
    seen = look(body)
    plain = "\n".join(seen.pages)
    if len(seen.pictures) == len(seen.pages) or not re.search(r"\w", plain):
        raise UnreadableError("needs-ocr", f"It is scanned ({len(seen.pages)} pages without text): it needs OCR.")
    result = convert(body, PDF)
    flags, ours, theirs = _checked(result.content, plain, seen)
    lost = ours < theirs * (1 - LOST)
    markdown = pdf_mend.from_lines(seen.pages) if lost else result.content
    text = Text(
        markdown=pdf_mend.mend(markdown, pages=seen.pages, code=seen.code, outline=seen.outline),
        media_type=PDF,
        strategy="pdfium" if lost else "kreuzberg",
        flags=flags,
        report={"pages": len(seen.pages), "words": {"kreuzberg": ours, "pdfium": theirs}, "outline": len(seen.outline)},
        **_with_title(properties(result.metadata), result.content),
    )
    return extracted(text, resource=resource, rules=rules)


def _with_title(told: Properties, markdown: str) -> Properties:
    """Take the first heading for the title where the properties have none: the outline does not repeat it."""
    first = next((found for line in markdown.split("\n")[:8] if (found := heading(line))), None)
    return told if told["title"] or not first else {**told, "title": first[1]}


def _checked(markdown: str, plain: str, seen: Seen) -> tuple[tuple[str, ...], int, int]:
    """Compare the two readings; what a person should look at becomes a flag."""
    ours = words(markdown)
    theirs = words(plain) - pdf_mend.missing(markdown, seen.pages)
    flags: list[str] = []
    if abs(ours - theirs) > DIFFERENCE * max(ours, theirs):
        flags.append(f"word-count-differs: {ours} words by kreuzberg, {theirs} by pdfium")
    if seen.pictures:
        told = ", ".join(map(str, seen.pictures[:10])) + (" …" if len(seen.pictures) > 10 else "")  # noqa: PLR2004
        flags.append(f"needs-ocr: {len(seen.pictures)} of {len(seen.pages)} pages are pictures ({told})")
    return tuple(flags), ours, theirs


def look(body: bytes) -> Seen:
    """Read a PDF by pdfium.

    Raises:
        UnreadableError: it is locked, damaged or has too many pages.
    """
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(body)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            raise UnreadableError("encrypted", "The PDF is locked with a password.") from error
        raise UnreadableError("broken", f"The PDF is damaged: {error}") from error
    with document:
        if not 0 < len(document) <= PAGES:
            problem = "too-large" if len(document) else "broken"
            raise UnreadableError(problem, f"The PDF has {len(document):,} pages; the limit is {PAGES:,}.")
        pages: list[str] = []
        code: list[str] = []
        pictures: list[int] = []
        for number in range(len(document)):
            text, runs, is_picture = _page(document, number)
            pages.append(text)
            code.extend(runs)
            pictures += [number + 1] if is_picture else []
        return Seen(pages=tuple(pages), code=tuple(code), outline=_outline(document), pictures=tuple(pictures))


def _page(document: Any, number: int) -> tuple[str, list[str], bool]:
    from pypdfium2 import raw

    page = document[number]
    try:
        text_page = page.get_textpage()
        try:
            lines = _lines(text_page)
        finally:
            text_page.close()
        text = "\n".join(line for line, _, _ in lines)
        bare = len(re.findall(r"\w", text)) < SCANNED
        picture = bare and any(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3))
        return text, _code(lines), picture
    finally:
        page.close()


def _lines(text_page: Any) -> list[tuple[str, bool, float]]:
    """Return each line's text, whether it is set in a typewriter face, and how many spaces it is set in by."""
    lines: list[tuple[str, bool, float]] = []
    start = 0
    text = text_page.get_text_range(0, -1, errors="replace")
    for piece in re.split(r"\r?\n", text):
        bare = piece.strip()
        mono = bool(bare) and _is_mono(text_page, start + piece.index(bare) + len(bare) // 2)
        lines.append(
            (
                piece.rstrip().replace("\ufffe", "-").replace("\x02", "-"),
                mono,
                _left(text_page, start, len(bare)) if mono else 0.0,
            )
        )
        start += len(piece) + 2
    return lines


def _is_mono(text_page: Any, index: int) -> bool:
    from pypdfium2 import raw

    flags = ctypes.c_int(0)
    size = raw.FPDFText_GetFontInfo(text_page, index, None, 0, flags)
    name = ctypes.create_string_buffer(max(1, min(size, 200)))
    raw.FPDFText_GetFontInfo(text_page, index, name, len(name), flags)
    told = name.value.decode("latin-1").rpartition("+")[2]
    return bool(flags.value & _FIXED_PITCH) or bool(_MONO.search(told))


def _left(text_page: Any, start: int, length: int) -> float:
    """Return where a line begins, in widths of its characters."""
    left, _, _, _ = text_page.get_charbox(start, loose=True)
    _, _, right, _ = text_page.get_charbox(start + max(0, length - 1), loose=True)
    width = (right - left) / max(1, length)
    return left / width if width > 0 else 0.0


def _code(lines: list[tuple[str, bool, float]]) -> list[str]:
    """Return the runs of at least two typewriter lines, set in as they were."""
    runs: list[str] = []
    run: list[tuple[str, float]] = []
    for text, mono, left in [*lines, ("", False, 0.0)]:
        if mono:
            run.append((text.strip(), left))
            continue
        if len(run) > 1:
            margin = min(indent for _, indent in run)
            runs.append("\n".join(" " * round(indent - margin) + bare for bare, indent in run))
        run = []
    return runs


def _outline(document: Any) -> tuple[tuple[int, str], ...]:
    found: Counter[str] = Counter()
    told: list[tuple[int, str]] = []
    for mark in document.get_toc(max_depth=6):
        title = " ".join((mark.get_title() or "").split())
        found[title] += 1
        if title and len(told) < 5_000:  # noqa: PLR2004 - nobody's outline is longer
            told.append((mark.level, title))
    return tuple(told)
