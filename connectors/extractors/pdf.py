"""PDF: pdfium's lines put together as they are set; kreuzberg reads its properties and checks that no word is lost."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.extractors import pdf_layout
from connectors.extractors.office import convert, properties
from connectors.extractors.paper import DIFFERENCE, Properties, Text, extracted, heading, words
from connectors.extractors.pdf_lines import Cell, Line
from connectors.extractors.pdf_outline import Bookmark
from connectors.extractors.unreadable import UnreadableError
from connectors.media_types import PDF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.models import CleaningRules, Extracted, Resource

PAGES = 5_000
MARKS = 5_000
UNSEEN = 1.5  # points: a line that is not higher is set to be found by machines, not by readers
SCANNED = 12  # letters: a page with an image and fewer of them is a picture of text
KEPT = 0.4
LOST = 0.2  # of the words: then the other reading is taken
_FIXED_PITCH = 0x1
_GAP = 0.9  # times the size: between two cells of a table; justified words stand closer
_MONO = re.compile(r"mono|cour|consol|menlo|typewriter|cmtt|cmsltt|sltt|code|fixed|ectt|lmtt|sftt", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What pdfium sees.

    Attributes:
        pages: the lines of each page.
        outline: the bookmarks.
        pictures: numbers of the pages (from 1) that hold a picture and hardly a letter.
    """

    pages: tuple[tuple[Line, ...], ...]
    outline: tuple[Bookmark, ...]
    pictures: tuple[int, ...]


def extract(resource: Resource, rules: CleaningRules) -> Extracted:
    """Make the pages of a PDF: one, or one a chapter when it is long and has an outline.

    Raises:
        UnreadableError: ``encrypted``, ``broken``, ``needs-ocr`` or ``too-large``.
    """
    body = resource.body or b""
    seen = look(body)
    lettered = any(re.search(r"\w", line.text) for page in seen.pages for line in page)
    if len(seen.pictures) == len(seen.pages) or not lettered:
        raise UnreadableError("needs-ocr", f"It is scanned ({len(seen.pages)} pages without text): it needs OCR.")
    result = convert(body, PDF)
    ours = pdf_layout.to_markdown(seen.pages, seen.outline)
    printed = "\n".join(line.text for page in seen.pages for line in page)
    counts = {"kept": words(ours), "pdfium": words(printed), "kreuzberg": words(result.content)}
    if counts["kept"] < counts["pdfium"] * KEPT:  # what was taken for running heads was the text
        ours = pdf_layout.to_markdown(seen.pages, seen.outline, whole=True)
    lost = counts["pdfium"] < counts["kreuzberg"] * (1 - LOST)
    text = Text(
        markdown=result.content if lost else ours,
        media_type=PDF,
        strategy="kreuzberg" if lost else "pdf",
        flags=_flags(counts, seen),
        report={"pages": len(seen.pages), "words": counts, "outline": len(seen.outline)},
        **_with_title(properties(result.metadata), result.content, ours),
    )
    return extracted(text, resource=resource, rules=rules)


def _with_title(told: Properties, *texts: str) -> Properties:
    """Take the first heading for the title where the properties have none: the outline does not repeat it."""
    lines = (line for text in texts for line in text.split("\n")[:8])
    first = next((found for line in lines if (found := heading(line))), None)
    return told if told["title"] or not first else {**told, "title": first[1]}


def _flags(counts: dict[str, int], seen: Seen) -> tuple[str, ...]:
    """Say what a person should look at: another reading finds more words, or pages are pictures."""
    flags: list[str] = []
    ours, theirs = counts["pdfium"], counts["kreuzberg"]
    if theirs > ours * (1 + DIFFERENCE):
        flags.append(f"word-count-differs: {ours} words by pdfium, {theirs} by kreuzberg")
    if seen.pictures:
        told = ", ".join(map(str, seen.pictures[:10])) + (" …" if len(seen.pictures) > 10 else "")  # noqa: PLR2004
        flags.append(f"needs-ocr: {len(seen.pictures)} of {len(seen.pages)} pages are pictures ({told})")
    return tuple(flags)


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
        read = [_page(document, number) for number in range(len(document))]
        pictures = tuple(number for number, (_, picture) in enumerate(read, 1) if picture)
        return Seen(pages=tuple(lines for lines, _ in read), outline=_outline(document), pictures=pictures)


def _page(document: Any, number: int) -> tuple[tuple[Line, ...], bool]:
    from pypdfium2 import PdfiumError, raw

    try:
        page = document[number]
    except PdfiumError:  # one damaged page costs itself
        return (), False
    try:
        text_page = page.get_textpage()
        try:
            lines = tuple(_lines(text_page))
        finally:
            text_page.close()
        bare = sum(len(re.findall(r"\w", line.text)) for line in lines) < SCANNED
        return lines, bare and any(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3))
    finally:
        page.close()


def _lines(text_page: Any) -> Iterator[Line]:
    start = 0
    for piece in text_page.get_text_range(0, -1, errors="replace").split("\r\n"):
        bare = piece.strip()
        if bare:
            first = start + piece.index(bare)
            line = _line(text_page, bare.replace("\ufffe", "\x02"), first, first + len(bare) - 1)
            if line.top - line.bottom > UNSEEN or line.top == line.bottom:
                yield line
        start += len(piece) + 2


def _line(text_page: Any, text: str, first: int, last: int) -> Line:
    from pypdfium2 import raw

    left, bottom, _, top = text_page.get_charbox(first, loose=True)
    _, low, right, high = text_page.get_charbox(last, loose=True)
    middle = (first + last) // 2
    mono = all(_is_mono(text_page, index) for index in {first, middle, last})
    size = raw.FPDFText_GetFontSize(text_page, middle)
    top, bottom = max(top, high), min(bottom, low)
    # Some producers scale the page instead of the type: the height of the line then says more.
    size = size if size > 2 else (top - bottom) / 1.2  # noqa: PLR2004 - nobody prints in 2 points
    cells = () if mono else _cells(text_page, text, first, size * _GAP)
    return Line(text=text, mono=mono, size=size, left=left, right=right, top=top, bottom=bottom, cells=cells)


def _cells(text_page: Any, text: str, first: int, least: float) -> tuple[Cell, ...]:
    """Cut a line where the space between two words is wider than ``least``; nothing when it is one piece."""
    starts = [0]
    edges: list[tuple[float, float]] = []
    for found in re.finditer(r"\s+", text):
        _, _, right, _ = text_page.get_charbox(first + found.start() - 1, loose=True)
        left, _, _, _ = text_page.get_charbox(first + found.end(), loose=True)
        if left - right > least:
            starts.append(found.end())
            edges.append((right, left))
    if not edges:
        return ()
    lefts = [text_page.get_charbox(first, loose=True)[0], *(left for _, left in edges)]
    rights = [*(right for right, _ in edges), text_page.get_charbox(first + len(text) - 1, loose=True)[2]]
    ends = [*starts[1:], len(text)]
    return tuple(
        Cell(text[start:end].strip(), left, right)
        for start, end, left, right in zip(starts, ends, lefts, rights, strict=True)
    )


def _is_mono(text_page: Any, index: int) -> bool:
    from pypdfium2 import raw

    flags = ctypes.c_int(0)
    name = ctypes.create_string_buffer(200)
    size = raw.FPDFText_GetFontInfo(text_page, index, name, len(name), flags)
    told = name.value.decode("latin-1").rpartition("+")[2] if 0 < size <= len(name) else ""
    return bool(flags.value & _FIXED_PITCH) or bool(_MONO.search(told))


def _outline(document: Any) -> tuple[Bookmark, ...]:
    told: list[Bookmark] = []
    for mark in document.get_toc(max_depth=6):
        title = " ".join((mark.get_title() or "").split())
        place = mark.get_dest()
        page = place.get_index() if place is not None else None
        if title and len(told) < MARKS:
            told.append(Bookmark(level=mark.level, title=title, page=-1 if page is None else page))
    return tuple(told)
