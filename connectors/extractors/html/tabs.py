"""Tabs: every panel is written, each under the handle that opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.extractors.html.tree import outermost, outermost_of

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

    from connectors.extractors.html.writer import Flow, Writer


def _labels_and_panels(node: LexborNode) -> tuple[list[LexborNode], list[LexborNode]]:
    panels = outermost(node.css(".tabbed-block, [role=tabpanel], .blocks > div"))
    labels = outermost(node.css(".tabbed-labels > label, .tabs > label, [role=tab]"), panels)
    if labels and len(labels) == len(panels):
        return labels, panels
    own = [child for child in node.iter() if child.tag == "label"]
    contents = [child for child in node.iter() if "content" in (child.attributes.get("class") or "")]
    return (own, contents) if own and len(own) == len(contents) else ([], [])


def tabs(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """A set of tabs: every panel, each under its label in bold."""
    labels, panels = _labels_and_panels(node)
    if not labels:
        return False
    for label, panel in zip(labels, panels, strict=True):
        blocks = writer.blocks(panel)
        if blocks:
            name = writer.line(label)
            flow.add(f"**{name}**" if name else "")
            flow.blocks.extend(blocks)
    flow.flush()
    return True


def tab_list(writer: Writer, node: LexborNode, _flow: Flow) -> bool:
    """The handles of tabs: left out where they name the panels that they open, which then bear their names."""
    if node.css_first(_PANEL):  # an accordion: the panels stand among their handles
        return False
    return node.css_first("[role=tab][aria-controls], [role=tab][id]") is not None or bool(
        _places(writer, node, _PANEL)
    )


def tab_panel(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """What one tab shows, under the tab's label in bold, wherever the two stand."""
    blocks = writer.blocks(node)
    tab = _tab_of(writer, node)
    if tab is not None and blocks and not _is_written(tab):
        name = writer.line(tab)
        flow.add(f"**{name}**" if name else "")
    flow.flush()
    flow.blocks.extend(blocks)
    return True


_PANEL = "[role=tabpanel]"
_HANDLE = "[role=tab]"


def _is_written(tab: LexborNode) -> bool:
    """Say whether a tab is written where it stands: it, or the list that it is in, holds panels."""
    if tab.css_first(_PANEL):
        return True
    above = tab.parent
    while above is not None and above.tag and above.attributes.get("role") != "tablist":
        above = above.parent
    return above is not None and bool(above.tag) and above.css_first(_PANEL) is not None


def _tab_of(writer: Writer, panel: LexborNode) -> LexborNode | None:
    if writer.tab_names is None:
        writer.tab_names = {}
        for tab in outermost_of(panel).css("[role=tab]"):
            for key in ("id", "aria-controls"):
                if name := tab.attributes.get(key):
                    writer.tab_names.setdefault(f"{key} {name}", tab)
    attributes = panel.attributes
    named = writer.tab_names.get(f"id {attributes.get('aria-labelledby')}")
    return named or writer.tab_names.get(f"aria-controls {attributes.get('id')}") or _tab_by_place(writer, panel)


def _tab_by_place(writer: Writer, panel: LexborNode) -> LexborNode | None:
    """Return the handle of a panel that names none: the first handle beside the panels is the first panel's."""
    return _places(writer, panel, _HANDLE).get(panel.mem_id)


def _places(writer: Writer, node: LexborNode, wanted: str) -> dict[int, LexborNode]:
    """Return the panels and their handles in the nearest element around ``node`` that holds what is ``wanted``."""
    above = node.parent
    while above is not None and above.tag and not above.css_first(wanted):
        above = above.parent
    if above is None or not above.tag:
        return {}
    places = writer.tab_places.get(above.mem_id)
    if places is None:
        panels = outermost(above.css(_PANEL))
        handles = outermost(above.css(_HANDLE), panels)
        pairs = zip(panels, handles, strict=True) if len(handles) == len(panels) else ()
        places = writer.tab_places[above.mem_id] = {panel.mem_id: handle for panel, handle in pairs}
    return places
