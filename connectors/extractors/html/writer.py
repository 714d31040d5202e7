"""Walks a part of the parsed tree and writes it as blocks of Markdown; a grammar says what each element becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.extractors.html.inline import BOLD, ITALIC, RAW, line, render
from connectors.extractors.html.kinds import DROP
from connectors.extractors.html.tree import KNOWN_TAGS, TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from selectolax.lexbor import LexborNode

    from connectors.extractors.html.inline import Run

    Write = Callable[["Writer", LexborNode, "Flow"], None]
    """Writes a node into a flow."""
    WriteKind = Callable[["Writer", LexborNode, "Flow"], bool]
    """Writes a node of one kind; False where it is to be written by its tag after all."""

MAX_DEPTH = 1000  # browsers flatten what is nested deeper than 512


class TooDeepError(Exception):
    """The tree is nested deeper than any page that a person wrote."""


class Flow:
    """Blocks written so far, and the runs of the paragraph that is open."""

    __slots__ = ("blocks", "runs")

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.runs: list[Run] = []

    def flush(self) -> None:
        """Close the open paragraph."""
        if self.runs:
            self.blocks.extend(render(self.runs))
            self.runs.clear()

    def add(self, block: str) -> None:
        """Close the open paragraph and add a block."""
        self.flush()
        if block:
            self.blocks.append(block)


class Grammar:
    """What each element becomes: by the kind it was found to be, else by its tag; others are what is in them.

    Attributes:
        by_number: what writes a tag, by the parser's number of it: a third of the cost of its name; filled by use.
    """

    __slots__ = ("_by_tag", "by_kind", "by_number")

    def __init__(self, *, by_tag: Mapping[str, Write], by_kind: Mapping[str, WriteKind]) -> None:
        self._by_tag = by_tag
        self.by_kind = by_kind
        self.by_number: dict[int, Write] = {}

    def by_tag(self, node: LexborNode) -> Write:
        """Return what writes a node by its tag; remembered where its number stands for one tag in all documents."""
        write = self._by_tag.get(node.tag or "", Writer.children)
        if node.tag_id < KNOWN_TAGS:
            self.by_number[node.tag_id] = write
        return write


class Writer:
    """Writes nodes as Markdown.

    Attributes:
        kinds: by `mem_id` what a node is beyond its tag (`kinds.KINDS`); `DROP` leaves it out.
        resolve: makes a link's target absolute; empty when it is no target.
        style, link: what text is at this place: its marks (`inline`), and the target of the link around it.
        headed: by `mem_id` what holds a heading in a summary; gathered by the first folded part.
        tab_names: the handles of tabs by their own id and by the panel's that they open; gathered by the first panel.
        tab_places: by `mem_id` of an element that holds tabs, each panel in it and its handle, where there are as many.
    """

    def __init__(self, grammar: Grammar, *, kinds: dict[int, str], resolve: Callable[[str], str]) -> None:
        self.kinds = kinds
        self.resolve = resolve
        self.style = 0
        self.link = ""
        self.headed: set[int] | None = None
        self.tab_names: dict[str, LexborNode] | None = None
        self.tab_places: dict[int, dict[int, LexborNode]] = {}
        self._grammar = grammar
        self._by_number = grammar.by_number
        self._depth = 0

    def blocks(self, node: LexborNode) -> list[str]:
        """Return the Markdown blocks of what is inside ``node``."""
        text = self.only_text(node)
        if text is not None:
            return render([(text, self.style, self.link)])
        flow = Flow()
        self.children(node, flow)
        flow.flush()
        return flow.blocks

    def line(self, node: LexborNode) -> str:
        """Return what is inside ``node`` on one line (headings, cells, terms)."""
        flow = Flow()
        self.children(node, flow)
        if not flow.blocks:
            return line(flow.runs)
        flow.flush()
        return " ".join(" ".join(block.split()) for block in flow.blocks)

    def blocks_of(self, node: LexborNode) -> list[str]:
        """Return the Markdown blocks of ``node``, itself included."""
        flow = Flow()
        self.node(node, flow)
        flow.flush()
        return flow.blocks

    def hide(self, node: LexborNode) -> None:
        """Leave ``node`` out from now on: it has been written elsewhere."""
        self.kinds[node.mem_id] = DROP

    def children(self, node: LexborNode, flow: Flow) -> None:
        """Write what is inside ``node`` into an open flow."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooDeepError
        kinds, style, link, runs, by_number = self.kinds, self.style, self.link, flow.runs, self._by_number
        child = node.first_child
        while child is not None:
            tag = child.tag_id
            if child.mem_id in kinds:
                self.node(child, flow)
            elif tag == TEXT:
                text = child.text_content or ""
                if runs or not text.isspace():  # white space before a paragraph is nobody's
                    runs.append((text, style, link))
            else:
                (by_number.get(tag) or self._grammar.by_tag(child))(self, child, flow)
            child = child.next
        self._depth -= 1

    def only_text(self, node: LexborNode) -> str | None:
        """Return the text of an element that holds one text and nothing else: most that stand in a line do."""
        only = node.first_child
        if only is None or only.tag_id != TEXT or only.next is not None or only.mem_id in self.kinds:
            return None
        return only.text_content or ""

    def node(self, node: LexborNode, flow: Flow) -> None:
        """Write ``node`` into an open flow: as its kind says, else as its tag does."""
        kind = self.kinds.get(node.mem_id)
        if kind is not None and (kind == DROP or self._grammar.by_kind[kind](self, node, flow)):
            return
        (self._by_number.get(node.tag_id) or self._grammar.by_tag(node))(self, node, flow)

    def styled(self, node: LexborNode, flow: Flow, style: int) -> None:
        """Add what is inside ``node`` to the open paragraph in another style."""
        text = self.only_text(node)
        if text is not None:
            flow.runs.append((text, self.style | style, self.link))
            return
        before = self.style
        self.style |= style
        self.children(node, flow)
        self.style = before

    def bold(self, node: LexborNode) -> str:
        """Return what is inside ``node`` on one bold line."""
        flow = Flow()
        self.styled(node, flow, BOLD)
        if not flow.blocks:
            return line([(text, style & ~ITALIC, link) for text, style, link in flow.runs])
        flow.flush()
        return " ".join(" ".join(block.split()) for block in flow.blocks)

    def raw(self, text: str, flow: Flow) -> None:
        """Add a piece that is Markdown already to the open paragraph."""
        flow.runs.append((text, RAW, self.link))

    def heading(self, node: LexborNode, flow: Flow, level: int) -> None:
        """Add ``node`` as a heading; one without words is left out."""
        before, self.style = self.style, 0
        text = self.line(node)
        self.style = before
        flow.add(f"{'#' * level} {text}" if text else "")
