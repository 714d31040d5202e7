"""Structured data of a page: JSON-LD and meta elements, flat."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.extractors.html.tree import Tree

_MAX_JSON = 1_000_000
_MAX_NODES = 2_000
_CONTROL = re.compile(r"[\x00-\x1f]+")

Thing = dict[str, Any]


def _walk(value: Any) -> Iterator[Thing]:
    stack = [value]
    count = 0
    while stack and count < _MAX_NODES:
        item = stack.pop()
        count += 1
        if isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, dict):
            yield item
            stack.extend(child for child in reversed(list(item.values())) if isinstance(child, dict | list))


def things(tree: Tree) -> list[Thing]:
    """Return every JSON-LD object of the page that has a type, outer ones first; broken JSON is passed over."""
    found: list[Thing] = []
    if not any("ld+json" in (said.get("type") or "").lower() for said in tree.all_of("script")):
        return found  # most scripts are no data, and a query looks at all elements
    for script in tree.css("script[type='application/ld+json' i]"):
        text = script.text() or ""
        if len(text) > _MAX_JSON or '"' not in text:
            continue
        text = text.strip().removeprefix("<!--").removesuffix("-->").removeprefix("//<![CDATA[").removesuffix("//]]>")
        try:
            data = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            try:
                data = json.loads(_CONTROL.sub(" ", text).strip().rstrip(";"))
            except (ValueError, RecursionError):
                continue
        found.extend(item for item in _walk(data) if "@type" in item)
    return found


def types(thing: Thing) -> set[str]:
    """Return a thing's types without their vocabulary's address."""
    kinds = thing.get("@type")
    values = kinds if isinstance(kinds, list) else [kinds]
    return {str(value).rsplit("/", 1)[-1] for value in values if value}


def text_of(value: Any) -> str:
    """Return a value as one line of text: a string, the name of a thing, the first of a list."""
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, dict):
        return text_of(value.get("name") or value.get("@value") or "")
    if isinstance(value, list) and value:
        return text_of(value[0])
    return ""


def metas(tree: Tree) -> dict[str, str]:
    """Return the meta elements by lower-case name, property or itemprop; the first of each counts."""
    found: dict[str, str] = {}
    for attributes in tree.metas():
        name = (
            attributes.get("property")
            or attributes.get("name")
            or attributes.get("itemprop")
            or attributes.get("http-equiv")
        )
        content = " ".join((attributes.get("content") or "").split())
        if name and content:
            found.setdefault(name.strip().lower(), content)
    return found


def _paragraphs(value: Any) -> list[str]:
    """Return a text value's paragraphs; markup in it is taken out."""
    if not isinstance(value, str):
        return []
    import html  # it brings the table of all entities

    text = html.unescape(_MARKUP.sub(lambda found: "\n" if found.group().startswith(_BREAKING) else "", value))
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


_MARKUP = re.compile(r"<[^<>]{0,500}>")
_BREAKING = ("<br", "</p", "</li", "</div", "<p", "<li", "</h")


def _entities(thing: Thing) -> list[Any]:
    entries = thing.get("mainEntity")
    return entries if isinstance(entries, list) else [entries]


def content(found: list[Thing]) -> str:
    """Return the Markdown of what the structured data itself says: an article's body, questions, a product."""
    blocks: list[str] = []
    for thing in found:
        kinds = types(thing)
        if isinstance(thing.get("articleBody"), str):
            blocks.extend(_paragraphs(thing["articleBody"]))
        elif kinds & {"FAQPage", "QAPage"}:
            for entry in _entities(thing):
                answer = entry.get("acceptedAnswer") if isinstance(entry, dict) else None
                text = answer.get("text") if isinstance(answer, dict) else None
                if text and text_of(entry):
                    blocks.extend([f"## {text_of(entry)}", *_paragraphs(text)])
        elif kinds & {"Product", "ProductGroup", "Recipe", "Event", "JobPosting", "Course"}:
            blocks.extend(_paragraphs(thing.get("description")))
    return "\n\n".join(dict.fromkeys(blocks))
