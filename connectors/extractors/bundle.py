"""Files inside a file: a ZIP archive's and a mail's attachments, each with pages of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from connectors.extractors.archive import Archive
from connectors.extractors.unreadable import UnreadableError
from connectors.media_types import BY_SUFFIX, suffix_of
from connectors.models import Extracted, Hints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from connectors.models import CleaningRules, Page, Resource

    Member = tuple[str, bytes, str]  # name, bytes, media type (empty when nobody said)
    Read = Callable[[Resource, CleaningRules], Extracted]

FILES = 1_000
_TOLD = 20


def extract(resource: Resource, rules: CleaningRules, *, read: Read) -> Extracted:
    """Make the pages of every document in a ZIP archive; its names are names and never paths."""
    return combined(resource, rules, _documents(Archive(resource.body or b"")), read=read)


def _documents(archive: Archive) -> Iterator[Member]:
    names = sorted(name for name in dict.fromkeys(archive.names) if _is_document(name))
    if len(names) > FILES:
        raise UnreadableError("too-large", f"The archive holds {len(names):,} documents; the limit is {FILES:,}.")
    for name in names:
        yield name, archive.read(name), ""


def _is_document(name: str) -> bool:
    steps = name.replace("\\", "/").split("/")
    hidden = any(step.startswith((".", "__MACOSX")) and step.strip(".") for step in steps)
    return not hidden and (suffix_of(steps[-1]) in BY_SUFFIX or "." not in steps[-1])


def combined(
    resource: Resource, rules: CleaningRules, members: Iterable[Member], *, read: Read, first: tuple[Page, ...] = ()
) -> Extracted:
    """Read every member as a resource ``…#file=name``; one that gives no page is named in the detail."""
    pages = list(first)
    links: dict[str, None] = {}
    failed: list[str] = []
    seen = 0
    for name, body, media_type in members:
        seen += 1
        inner = read(_member(resource, name, body, media_type), rules)
        pages.extend(inner.pages)
        links |= dict.fromkeys(inner.links)
        if inner.problem:
            failed.append(f"{name} ({inner.problem})")
    told = ", ".join(failed[:_TOLD]) + (" …" if len(failed) > _TOLD else "")
    if failed:
        pages = [replace(page, flags=(*page.flags, f"incomplete-bundle: {told}"[:500])) for page in pages[:1]] + pages[
            1:
        ]
    report = {"strategy": "bundle", "files": seen, "without_page": failed[:_TOLD]}
    if pages:
        return Extracted(
            pages=tuple(pages), links=tuple(links), detail=f"No page from {told}." if failed else "", report=report
        )
    if failed:
        return Extracted(problem="broken", detail=f"No file in it gives a page: {told}."[:500], report=report)
    return Extracted(problem="empty", detail="There is no document in it.", report=report)


def _member(resource: Resource, name: str, body: bytes, media_type: str) -> Resource:
    mark = "&" if "#" in resource.uri else "#"
    uri = f"{resource.uri}{mark}file={quote(name, safe='/')}"
    hints = Hints(author=resource.hints.author, published=resource.hints.published, modified=resource.hints.modified)
    kind = media_type or BY_SUFFIX.get(suffix_of(name), "")
    return replace(resource, uri=uri, requested_uri=uri, media_type=kind, charset="", body=body, hints=hints)
