"""Markdown of strangers as HTML that can do nothing: no raw HTML, no images that load, only http links."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from connectors.persona.server.search import stem
from connectors.persona.server.text import folded, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token

MOST_CHARS = 400_000
SNIPPET_CHARS = 260
_BARE_URL = re.compile(r"(?<![<(\[\"'`=/\w])(https?://[^\s<>]+[^\s<>.,;:!?)\]'\"])")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_MARKS = re.compile(
    r"^[ \t]*(?:`{3,}|~{3,}).*$|^[ \t|]*[-=:|][-=:| \t]+$|^[ \t]*(?:[-*+>:]|#{1,6}|[0-9]+[.)])[ \t]+"
    r"|(?:`+|\*+|~~|\|)|\\(?=\W)",
    re.MULTILINE,
)


def rendered(text: str) -> Markup:
    """Return Markdown as HTML."""
    return Markup(_renderer().render(text[:MOST_CHARS]))  # noqa: S704 - raw HTML is off; see the tests


def answer(text: str) -> Markup:
    """Return an answer as HTML, the addresses in it as links."""
    lines = [line if line.startswith((">", "    ")) else _BARE_URL.sub(r"<\1>", line) for line in text.splitlines()]
    return rendered("\n".join(lines))


def snippet(passage: str, question: str) -> Markup:
    """Return the part of a passage that says most about a question, as plain text with its words marked."""
    plain = " ".join(_MARKS.sub("", _LINK.sub(r"\1", passage)).split())
    stems = [stem(word) for word in words(question) if len(word) > 1]
    low = folded(plain)
    at = 0
    if len(low) == len(plain):
        at = max(range(0, max(1, len(plain) - SNIPPET_CHARS // 2), 40), key=lambda start: _told(low, stems, start))
    start = plain.rfind(" ", 0, at) + 1 if at else 0
    cut = plain[start : start + SNIPPET_CHARS]
    cut = cut.rsplit(" ", 1)[0] if start + SNIPPET_CHARS < len(plain) and " " in cut else cut
    shown = _marked(cut, stems)
    return Markup("{}{}{}").format("… " if start else "", shown, " …" if start + len(cut) < len(plain) else "")


def _told(low: str, stems: Sequence[str], start: int) -> tuple[int, int]:
    window = low[start : start + SNIPPET_CHARS]
    return sum(word in window for word in stems), -start


def _marked(text: str, stems: Sequence[str]) -> Markup:
    parts = []
    for piece in re.split(r"(\W+)", text):
        hit = any(folded(piece).startswith(word) for word in stems if word)
        parts.append(Markup("<mark>{}</mark>").format(piece) if hit and piece.strip() else escape(piece))
    return Markup("").join(parts)


@cache
def _renderer() -> MarkdownIt:
    md = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
    md.add_render_rule("image", _image)
    md.add_render_rule("link_open", _link)
    md.validateLink = _may_link  # type: ignore[method-assign]
    return md


def _may_link(url: str) -> bool:
    return bool(re.match(r"https?://|mailto:|#", url.strip(), re.IGNORECASE))


def _image(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    # An image would tell its host who reads what.
    token = tokens[at]
    alt = self.renderInlineAsText(token.children or [], options, env) or "image"
    return str(Markup('<span class="image">{}</span>').format(alt))


def _link(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    if not str(tokens[at].attrGet("href") or "").startswith("#"):
        tokens[at].attrSet("rel", "noopener noreferrer nofollow")
    return self.renderToken(tokens, at, options, env)
