"""Documentation: what of a page's structure survives, per generator, ours beside trafilatura.

    python tests/benchmarks/cleaning/docs.py [--pages 60] [--half report|tune|all] [--unknown] NAME=FOLDER...

NAME is a generator of `GOLD`, with anything after a dash (``sphinx-furo=/usr/share/doc/x/html``). The gold is the
generator's own content container less permalinks, line numbers and buttons.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from pathlib import Path
from urllib.parse import quote, urldefrag, urljoin

from bs4 import BeautifulSoup, Comment

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3])]

import warnings

import systems
from measures import f1, half, mean, median, overlap, shingles, squeezed, take_apart

warnings.filterwarnings("ignore")
NOISE = (
    "a.headerlink, a.permalink, a.anchor, a.header-anchor, a.hash-link, a.anchor-link, a.anchorjs-link, a.sl-anchor-link, a.doc-anchor, script, style, noscript, button, template,"
    " svg, nav, .linenos, .lineno, .gutter, .listing_lines, input, select, textarea, [aria-hidden=true]:not([role=tabpanel]), .visually-hidden, .sr-only, .copybtn, iframe, .copiable-anchor, a.copiable-link"
)
# What leads from a text to its footnote and back is written as Markdown's footnotes, not as links.
FOOTNOTES = (
    "a.footnote-reference, a.footnote-ref, a.footnoteref, a.footnote, a[role=doc-noteref], a[data-footnote-ref], a.fn-backref, a.footnote-backref,"
    " a.footnote-back, .footnote a.para, a[role=doc-backlink]:not(.toc-backref), a[data-footnote-backref]"
)
NO_ITEMS = ".footnotes li, .footnote li, [data-footnotes] li, [role=doc-endnotes] li, [role=tablist] li, li[role=tab]"
GOLD: dict[str, tuple[str, str]] = {
    "sphinx": ("article.bd-article, article#furo-main-content, div[itemprop=articleBody], div.body, [role=main]", ".related, div.sphinxsidebar, .prev-next-area, .bd-header-article, footer, .footer-article"),
    "docbook": ("#docContent, body", ".navheader, .navfooter, #docFooter"),
    "asciidoc": ("body", "#footer, #toc"),
    "sqlite": ("body", "div.nosearch:not(:has(h1)):not(:has(.fancy_title)), .fancy_toc"),
    "apache": ("#page-content", ".top, #quickview, #comments_section, .toplang, .bottomlang"),
    "mdbook": ("#content main, main", ".nav-wrapper, .buttons"),
    "rustdoc": ("#main-content", "rustdoc-toolbar, #copy-path, .out-of-band, a.src, .test-arrow, #toggle-all-docs, a.srclink, .notable-traits, summary.hideme, .tooltip"),
    "javadoc": ("main", ".sub-nav, footer, #reset-button, .table-tabs, nav"),
    "doxygen": ("#doc-content, body", "#top, #nav-path, #MSearchSelectWindow, #MSearchResultsWindow, hr.footer, address.footer, #titlearea, #main-nav, #side-nav, .ingroups, .ttc, .dynheader, .dyncontent, .summary, #navrow1, .levels, .permalink"),
    "mkdocs": ("article.md-content__inner, div[role=main]", ".md-content__button, .md-source-file, .md-feedback"),
    "vitepress": (".vp-doc", ".line-numbers-wrapper, span.lang"),
    "docusaurus": (".theme-doc-markdown, article .markdown", ".hash-link"),
    "starlight": (".sl-markdown-content", ""),
    "node": ("#apicontent", ".mark, .srclink"),
    "gtkdoc": ("#main .content, #main, body", ".navigation, .toolbar, #toc, .srclink"),
    "boost": ("body", ".spirit-nav, .copyright-footer, body > table:first-of-type"),
    "docutils": ("body > .document, body > main, main, body", ".header, .footer, header, footer, .contents"),
    "pdoc": ("main.pdoc", ".git-button, .view-source-button, .view-source-toggle-state, .pdoc-code, input, label"),
    "haddock": ("#content", "#table-of-contents, #contents-list, .selflink, #synopsis, a.link[href*='src/']"),
    "texinfo": ("body", ".nav-panel, .header, hr, body > p > font, body > font"),
    "gtkxml": ("body", "table.navigation, .footer, #top.navigation"),
    "erlang": ("#content .innertube, #content", ".footer, .exports-funcs-view"),
    "latex2html": ("body", ".navigation, address, table.navigation"),
    "sqlalchemy": ("#docs-body", "#docs-bottom-navigation"),
    "nature": ("div.body", ".related"),
    "asciidoctor": ("body.article, body.book, body", "#footer, #toc"),
    "antora": ("article.doc", ".toc, nav.pagination"),
    "jsdoc": ("#main", ""),
    "honkit": (".page-inner section.normal, .page-inner", ""),
    "hugo": (".td-content, article.book-article, .book-page, article main, article, main", ".book-footer, .book-header, .td-page-meta, .article-meta, .feedback, .td-toc, .pageinfo + nav, .hextra-code-copy-btn-container, .subheading-anchor, .td-heading-self-link"),
    "godoc": ("#page .container, #page", "#nav, #manual-nav, .toggleButton"),
    "typedoc": (".col-content", ".tsd-breadcrumb, .tsd-anchor-icon, aside.tsd-sources > ul"),
    "nextra": ("article main, main", ".nextra-breadcrumb, .subheading-anchor, [class*=pagination], footer"),
}  # fmt: skip
BLOCKS = {
    "p", "div", "li", "ul", "ol", "dl", "dt", "dd", "table", "tr", "td", "th", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "section", "article",
    "br", "caption", "figcaption", "details", "summary", "aside", "header", "main", "tbody", "thead", "label",
}  # fmt: skip


class Gold:
    """The structure of a page's content, read with other tools than ours."""

    def __init__(self, body: bytes, uri: str, name: str) -> None:
        soup = BeautifulSoup(body, "lxml")
        container, drop = GOLD[name.split("-")[0]]
        base = soup.find("base", href=True)
        self.base = urljoin(uri, base["href"]) if base else uri
        found = next((node for selector in container.split(", ") for node in soup.select(selector)[:1]), None)
        self.ok = found is not None
        if found is None:
            return
        for selector in filter(None, [NOISE, drop]):
            for node in found.select(selector):
                node.extract()
        for node in found.select("br + br"):  # two breaks end a paragraph, so they end the beginning of an item
            if not node.find_parent("pre") and not str(node.previous_sibling or "").strip(" \n\t").removeprefix("<br/>"):
                node.insert_before(_PARAGRAPH)
        for node in found.select("h1 a, h2 a, h3 a, h4 a, h5 a, h6 a, dt a"):
            if node.get("href", "").startswith("#") and node.get_text(strip=True) in {
                "",
                "¶",
                "#",
                "§",
                "🔗",
                "link",
                "Link",
            }:
                node.extract()
        self.code = [text for pre in found.select("pre") if (text := self._code(pre)).strip()]
        self.headings = [text for node in found.select("h1,h2,h3,h4,h5,h6") if (text := squeezed(node.get_text()))]
        self.links = [
            self.absolute(node["href"])
            for node in found.select(f"a[href]:not({FOOTNOTES}, [role=tab])")
            if node.get_text(strip=True) and not node.find_parent("pre") and not node["href"].startswith("javascript")
        ]
        tables = [table for table in found.select("table") if self._data(table)]
        self.cells = [
            text for table in tables for node in table.select("td, th") if (text := squeezed(node.get_text()))
        ]
        # Markdown has no list in a cell (it counts as part of the cell); footnotes and tabs are lists in HTML alone.
        within = {id(node) for table in tables for node in table.select("li")}
        within.update(id(node) for node in found.select(NO_ITEMS))
        self.items = [text for node in found.select("li") if id(node) not in within and (text := self._own(node))]
        self.text = self._text(found)

    def absolute(self, href: str) -> str:
        try:
            return urljoin(self.base, href.strip())
        except ValueError:
            return href

    @staticmethod
    def _data(table) -> bool:
        if "footnote" in table.get("class", []) or "citation" in table.get("class", []):
            return False
        if table.select("td.icon + td.content"):  # AsciiDoc's admonitions: the table lays out a box
            return False
        if (
            table.select("table, pre, h1, h2, h3, h4")
            or table.find_parent("table")
            or table.get("role") == "presentation"
        ):
            return False
        return max((len(row.find_all(["td", "th"], recursive=False)) for row in table.select("tr")), default=0) > 1

    @staticmethod
    def _code(pre) -> str:
        for node in pre.select("br"):
            node.replace_with("\n")
        for node in pre.select("div.where, div.code-attribute"):  # lines of their own, as a browser shows them
            if "where" in node["class"]:
                node.insert_before("\n")
            node.insert_after("\n")
        lines = pre.select(".ec-line")
        return "\n".join(line.get_text().rstrip("\n") for line in lines) if lines else pre.get_text().strip("\n")

    @staticmethod
    def _own(item) -> str:
        text = []
        for child in item.children:
            if isinstance(child, Comment):
                continue
            name = getattr(child, "name", None)
            if name in {
                "ul",
                "ol",
                "pre",
                "table",
                "dl",
                "div",
                "blockquote",
                "details",
                "section",
                "h1",
                "h2",
                "h3",
                "h4",
            } or (name == "p" and text):
                break
            text.append(child if isinstance(child, str) else child.get_text())
            if name == "p":
                break
        return squeezed("".join(text).split(_PARAGRAPH)[0])[:60]

    @staticmethod
    def _text(root) -> str:
        out = []

        def walk(node) -> None:
            for child in node.children:
                name = getattr(child, "name", None)
                if name is None:
                    if type(child).__name__ == "NavigableString":
                        out.append(str(child))
                else:
                    if name in BLOCKS:
                        out.append("\n")
                    walk(child)
                    if name in BLOCKS:
                        out.append("\n")

        walk(root)
        return "".join(out)


def same_url(url: str) -> str:
    bare, fragment = urldefrag(url)
    bare = quote(bare, safe="%/:?=&+~!$'()*,;@[]")
    return bare.replace("%7E", "~").lower() + (
        "#" + fragment.replace("<", "%3C").replace(">", "%3E") if fragment else ""
    )


def scores(gold: Gold, markdown: str) -> dict[str, tuple[float, float]]:
    """Return (found, wanted) for each kind of structure, and the text's F1 as (f1, 1)."""
    parts = take_apart(markdown)
    found: dict[str, tuple[float, float]] = {}
    found["text"] = (f1(*overlap(shingles(parts.text), shingles(gold.text))), 1.0)
    code = [block.strip("\n") for block in parts.code]
    left = list(code)
    hit = 0
    for block in gold.code:
        match = next((one for one in left if one == block), None) or next(
            (one for one in left if one.rstrip() == block.rstrip()), None
        )
        if match is None:
            match = next((one for one in code if block in one), None)
        hit += match is not None
    found["code"] = (hit, len(gold.code))
    headings = parts.headings.copy()
    hit = 0
    for text in gold.headings:
        if headings[text] > 0:
            headings[text] -= 1
            hit += 1
    found["headings"] = (hit, len(gold.headings))
    links = {same_url(link) for link in parts.links}
    found["links"] = (
        sum(
            same_url(link) in links or same_url(link).rstrip("/") in links or same_url(link) + "/" in links
            for link in gold.links
        ),
        len(gold.links),
    )
    found["items"] = (
        sum(
            any(item.startswith(text) or (len(text) > 20 and text in item) for item in parts.items)
            for text in gold.items
        ),
        len(gold.items),
    )
    found["cells"] = (sum(any(text in row for row in parts.rows) for text in gold.cells), len(gold.cells))
    return found


def pages_of(folder: Path, most: int, which: str) -> list[Path]:
    files = [
        path
        for path in sorted(folder.rglob("*.*"))
        if path.suffix in {".html", ".htm", ".xhtml"} and path.is_file() and 2_000 < path.stat().st_size < 1_500_000
    ]
    files = [
        path
        for path in files
        if not re.search(
            r"genindex|searchindex|/search\.html|404\.html|py-modindex|/_modules/|-members\.html|index-all|allclasses|/src/|_source",
            str(path),
        )
    ]
    files.sort(key=lambda path: hashlib.sha256(str(path.relative_to(folder)).encode()).digest())
    files = [path for path in files if which == "all" or half(str(path.relative_to(folder))) == which]
    return files[:most]


_PARAGRAPH = "\x1e"
COLUMNS = ("text", "code", "headings", "links", "items", "cells")
_SLIP = dict.fromkeys(COLUMNS, 0) | {"text": 0.02}


def line(name: str, rows: list[dict], ms: list[float]) -> str:
    cells = []
    for column in COLUMNS:
        if column == "text":
            cells.append(f"{mean(row['text'][0] for row in rows):.3f}")
            continue
        hit, want = sum(row[column][0] for row in rows), sum(row[column][1] for row in rows)
        cells.append(f"{100 * hit / want:.1f} %" if want else "-")
    return f"| {name} | {len(rows)} | {' | '.join(cells)} | {median(ms):.1f} | {mean(ms):.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--pages", type=int, default=40, help="pages of each set")
    parser.add_argument("--half", choices=("tune", "report", "all"), default="report")
    parser.add_argument("--unknown", action="store_true", help="our table of systems switched off")
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument(
        "--misses", type=int, default=0, metavar="N", help="print the pages that lose most of each column"
    )
    options = parser.parse_args()
    everything: dict[str, dict[str, list]] = {"ours": {}, "trafilatura": {}}
    times: dict[str, list[float]] = {"ours": [], "trafilatura": []}
    print("| set | pages | text F1 | code | headings | links | items | cells | ms median | ms mean |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for entry in options.sets:
        name, _, folder = entry.partition("=")
        rows: dict[str, list] = {"ours": [], "trafilatura": []}
        ms: dict[str, list[float]] = {"ours": [], "trafilatura": []}
        strategies: dict[str, int] = {}
        misses = []
        for path in pages_of(Path(folder), options.pages, options.half):
            body = path.read_bytes()
            uri = f"http://docs.example/{path.relative_to(folder)}".replace(" ", "%20")
            gold = Gold(body, uri, name)
            if not gold.ok or len(gold.text.split()) < 20:
                continue
            markdown, cost, strategy = systems.ours(body, uri, known=not options.unknown)
            strategies[strategy] = strategies.get(strategy, 0) + 1
            rows["ours"].append(scores(gold, markdown))
            ms["ours"].append(cost)
            if options.misses:
                misses.extend(
                    (column, round(want - hit, 3), str(path), strategy)
                    for column, (hit, want) in rows["ours"][-1].items()
                    if want - hit > _SLIP[column]
                )
            if not options.ours_only:
                markdown, cost = systems.theirs(body, uri)
                rows["trafilatura"].append(scores(gold, markdown))
                ms["trafilatura"].append(cost)
        for system in rows:
            if rows[system]:
                print(
                    line(f"{name} · {system}", rows[system], ms[system]),
                    strategies if system == "ours" else "",
                    flush=True,
                )
                everything[system][name] = rows[system]
                times[system].extend(ms[system])
        for column in COLUMNS if options.misses else ():
            for miss in sorted((miss for miss in misses if miss[0] == column), reverse=True)[: options.misses]:
                print("   ", *miss)
    for system, sets in everything.items():
        if sets:
            pages = [row for rows in sets.values() for row in rows]
            text = mean(mean(row["text"][0] for row in rows) for rows in sets.values())
            print(line(f"**all · {system}** (text: mean of sets {text:.3f})", pages, times[system]))


if __name__ == "__main__":
    main()
