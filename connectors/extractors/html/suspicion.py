"""What a person should look at: text that speaks to a machine, and shells that show nothing without scripts."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from connectors.extractors import tidy

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

    from connectors.extractors.html.document import Document
    from connectors.extractors.html.tree import Tree

_KEYWORDS = (
    b"instruction",
    b"system prompt",
    b"you are now",
    b"as an ai",
    b"language model",
    b"disregard",
    b"jailbreak",
)
_LOWER_TO_ASCII = "\u212a\u0130"  # Kelvin, and I with a dot: letters that are k and i in lower case
_OF_OTHERS = (
    r"\s+(?:all\s+|any\s+|the\s+|your\s+)*(?:previous|prior|above|earlier|preceding|other|system)\s+"
    r"(?:instructions?|prompts?|rules|messages|context)"
)
_OF_YOURS = r"\s+(?:me\s+)?(?:your|the)\s+(?:system\s+)?(?:prompt|instructions)"
_TO_YOU = (
    r"\s+(?:you\s+are\s+)?(?:an?\s+)?(?:ai|llm|language\s+model|assistant)s?\b[^.]{0,60}"
    r"\b(?:must|should|always|say|tell|respond|answer)"
)
_CALLED = r"\s+(?:assistants?|agents?|models?)\s*[:,]\s*(?:please\s+)?(?:ignore|say|respond|tell|recommend|answer)"
_SAID = r"\s+(?:system\s+)?instructions\s*:"
_INSTRUCTIONS = tuple(
    (word, word + rest)
    for words, rest in (
        ("ignore disregard forget override", _OF_OTHERS),
        ("reveal print repeat show", _OF_YOURS),
        ("you", r"\s+are\s+now\s+(?:a|an|in|the)\b"),
        ("new updated", _SAID),
        ("when if", _TO_YOU),
        ("ai llm", _CALLED),
    )
    for word in words.split()
)
"""By the word that an instruction begins with: plain words are found several times as fast. Few cleaners ever meet one,
so that the patterns are compiled by the first that does, as the three below."""
_HIDING_RULE = (
    r"([.#][A-Za-z_][\w-]*)\s*\{[^{}]*(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0\s*[;}!]"
    r"|(?:left|top|text-indent)\s*:\s*-\d{4,}|color\s*:\s*transparent)[^{}]*\}"
)
_SMUGGLED = "[\U000e0020-\U000e007e]{4,}"
_ROOTS = (
    "#root, #app, #__next, #___gatsby, #__nuxt, app-root, #svelte, #main-app, #application, [data-reactroot], "
    "#react-root, #q-app, #ember-app, [ng-app], [ng-version], #redoc, redoc, #swagger-ui, rapi-doc, elements-api"
)
_ASKS = (
    r"(?:enable|turn on|activate|requires?|needs?|without|allow)\s+(?:\w+\s+){0,3}java\s?script"
    r"|java\s?script\s+(?:\w+\s+){0,3}(?:required|disabled|enabled|turned off|not available)"
)
_SHELL_CHARS = 250


def speaks_to_machines(text: str, raw: bytes = b"") -> str:
    """Return the first words that read like an instruction to a language model; empty when there are none.

    Args:
        text: what is read.
        raw: the same in UTF-8, where the caller has it.
    """
    return " ".join(_instruction(text.lower()).split())[:80] if _may_speak(text, raw) else ""


def _may_speak(text: str, raw: bytes = b"") -> bool:
    lower = (raw or text.encode("utf-8", "replace")).lower()  # bytes, because nearly every text ends here
    return any(keyword in lower for keyword in _KEYWORDS) or any(sign in text for sign in _LOWER_TO_ASCII)


def _instruction(lower: str) -> str:
    """Return the first instruction in a text in lower case; empty without any."""
    found = (re.search(pattern, lower) for word, pattern in _INSTRUCTIONS if word in lower)
    first = min((match for match in found if match), key=re.Match.start, default=None)
    return first.group() if first is not None else ""


def hidden_by_sheet(tree: Tree, within: LexborNode | None = None) -> list[LexborNode]:
    """Return the nodes that a rule of the page's own style sheet hides and that speak to a machine.

    Scripts show much of what style sheets hide, so that hiding alone is no reason to leave text out.
    """
    out: list[LexborNode] = []
    sheets = tree.css("style", within)
    if not sheets or not _speaks(tree.root.text() or ""):
        return out  # nearly every page: what it says nowhere, no node says
    for sheet in sheets:
        for selector in _hiding((sheet.text() or "")[:200_000]):
            out.extend(node for node in tree.css(selector, within) if speaks_to_machines(node.text() or ""))
    return out


@lru_cache(maxsize=1)  # a page is asked twice
def _speaks(text: str) -> bool:
    return _may_speak(text)


@lru_cache(maxsize=8)  # a page is asked twice, and the pages of a site share their sheets
def _hiding(sheet: str) -> frozenset[str]:
    """Return the selectors that a style sheet hides."""
    return frozenset(re.findall(_HIDING_RULE, sheet, re.IGNORECASE))


def flags(document: Document, content: str) -> list[str]:
    """Return what reads like an instruction to a model: left out because nobody sees it, or visible and kept."""
    out = []
    whole = document.decoded
    raw = whole.raw or whole.text.encode("utf-8", "replace")
    if found := speaks_to_machines(content, tidy.encoded(content)):
        out.append(f"suspicious-text: it says {found!r}")
    elif found := speaks_to_machines(whole.text, raw):
        out.append(f"hidden-instructions: text that nobody sees says {found!r}; it was left out")
    if tidy.may_smuggle(raw) and re.search(_SMUGGLED, whole.text):
        out.append("hidden-instructions: invisible characters spell a text; they were left out")
    return out


def is_shell(document: Document, visible: int) -> bool:
    """Say whether a page is an empty frame that scripts fill: hardly any text, and a sign that scripts write it."""
    if visible > _SHELL_CHARS or document.tree.first("script") is None:
        return False
    if visible == 0 or document.body.css_first(_ROOTS) is not None:
        return True
    return re.search(_ASKS, document.body.text(separator=" ") or "", re.IGNORECASE) is not None
