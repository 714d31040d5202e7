"""HTML to pages: strategies behind one seam."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from connectors.extractors import tidy
from connectors.models import Extracted, Page

if TYPE_CHECKING:
    from connectors.extractors.html.choose import Choice
    from connectors.extractors.html.document import Document
    from connectors.extractors.html.links import Directions
    from connectors.extractors.html.metadata import About
    from connectors.models import CleaningRules, Resource

_THIN_WORDS = 40
_LONG_WORDS = 20_000
_CJK = "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]"  # compiled by the first page that has some
_RECURSION = 6000  # three frames for each of the 1,000 levels that are read; Python frames cost no C stack


def extract(resource: Resource, rules: CleaningRules) -> Extracted:
    """Return everything that one parse of an HTML resource gives; of errors it raises MemoryError alone.

    Args:
        resource: its ``body`` must be there.
        rules: what the source adds to the built-in cleaning.
    """
    from connectors.extractors.html.document import Problem, parse
    from connectors.extractors.html.links import directions

    if sys.getrecursionlimit() < _RECURSION:
        sys.setrecursionlimit(_RECURSION)
    try:
        document = parse(resource)
        if isinstance(document, Problem):
            return Extracted(problem=document.rule, detail=document.detail)
        said = directions(document, header=resource.robots, link_canonical=resource.link_canonical)
    except MemoryError:
        raise  # a new process may have enough
    except Exception as error:  # noqa: BLE001 - a page costs itself and never the run
        return Extracted(problem="broken", detail=f"The page could not be read ({type(error).__name__}: {error}).")
    cleaned = _cleaned(document, resource, rules, said)
    return Extracted(
        pages=cleaned.pages,
        links=said.links,
        canonical=said.canonical,
        noindex=said.noindex,
        nofollow=said.nofollow,
        problem=cleaned.problem,
        detail=cleaned.detail,
        alternate_markdown=said.alternate_markdown,
        report=cleaned.report,
    )


def _cleaned(document: Document, resource: Resource, rules: CleaningRules, said: Directions) -> Extracted:
    from connectors.extractors.html import metadata
    from connectors.extractors.html.choose import choose, visible_chars
    from connectors.extractors.html.document import without
    from connectors.extractors.html.login import stands_in
    from connectors.extractors.html.suspicion import is_shell
    from connectors.extractors.html.writer import TooDeepError

    if said.noindex:
        return Extracted(detail="The page asks not to be kept (noindex).")
    try:
        about = metadata.read(document, hints=resource.hints)
        visible = visible_chars(document)
        if is_shell(document, visible) and not about.body:
            return _nothing(document)
        if rules.remove:
            document = without(document, rules.remove)
            visible = visible_chars(document)
        choice = choose(document, rules, about, visible=visible)
        if choice is None or not choice.content.strip():
            return _nothing(document)
        page = _page(document, resource, rules, about, choice)
        walled = bool(resource.redirects) and stands_in(document, resource, words=int(page.metadata["word_count"]))
        return _login(resource) if walled else Extracted(pages=(page,), detail=choice.why, report=choice.report)
    except MemoryError:
        raise
    except (TooDeepError, RecursionError):
        return Extracted(problem="too-deep", detail="Elements are nested too deeply to be a page that a person wrote.")
    except Exception as error:  # noqa: BLE001 - a page costs itself and never the run
        return Extracted(problem="broken", detail=f"The page could not be cleaned ({type(error).__name__}: {error}).")


def _nothing(document: Document) -> Extracted:
    if document.tree.first("frameset") is not None:
        return Extracted(problem="frameset", detail="The page is a set of frames; its frames are followed as links.")
    if document.tree.first("script") is not None:
        return Extracted(problem="needs-javascript", detail="The page shows text only after its scripts have run.")
    return Extracted(problem="empty", detail="The page has no text.")


def _login(resource: Resource) -> Extracted:
    from connectors.web.logins import ADVICE

    detail = f"It asks for a password, and {resource.redirects[-1]} led to it; {ADVICE}."
    return Extracted(problem="login", detail=detail)


def word_count(text: str) -> int:
    """Return how many words a text has; scripts without word spaces count by character."""
    return tidy.word_count(text) + (len(re.findall(_CJK, text)) if tidy.may_be_cjk(text) else 0)


def _page(document: Document, resource: Resource, rules: CleaningRules, about: About, choice: Choice) -> Page:
    from connectors.extractors.html import language, metadata, suspicion

    content = tidy.visible(choice.content).strip()
    title, titled = metadata.title_of(about, content, document.uri, marked=choice.strategy.startswith("system:"))
    words = word_count(content)
    flags = []
    if words < _THIN_WORDS:
        flags.append(f"thin: {words} words")
    if not titled:
        flags.append("no-title")
    if document.decoded.mixed:
        flags.append(f"mixed-encoding: bytes that are no {document.decoded.encoding}")
    flags.extend(suspicion.flags(document, content))
    if words > _LONG_WORDS:
        flags.append(f"very-long: {words} words")
    values = {
        "url": document.uri,
        "title": title,
        **metadata.as_json(about),
        "word_count": words,
        "strategy": choice.strategy,
        "media_type": resource.media_type or "text/html",
    }
    if not values.get("language"):
        values["language"] = rules.language or language.detected(content)
    return Page(
        uri=document.uri,
        title=title,
        content=content,
        metadata=values,
        flags=tuple(flags),
        blocks=tidy.hashes(content),
        weak=choice.weak,
    )
