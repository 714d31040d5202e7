"""Retrieval on real questions: is the right page among the first 1, 5, 10?

Questions are drawn from the general index of Debian's python3-doc: an entry and the pages it points to ("What is
memoryview?" → library/stdtypes.html). The index itself is no part of the knowledge base. 100 questions are for tuning
(seed 1), 200 others are the result (seed 2); none is in both.

    python tests/benchmarks/retrieval/run.py STATE [--tune] [--show]
"""

import argparse
import asyncio
import json
import random
import re
import sys
import time
from collections import defaultdict
from pathlib import Path
from urllib.parse import urljoin

from corpus import DOCS, FOLDERS, SITE, store
from lxml import html

from connectors.persona.server.search import search
from connectors.persona.server.store import Store

KINDS = {
    "module": "What is the module {}?",
    "class": "What is the class {}?",
    "function": "What does the function {} do?",
    "method": "What does the method {} do?",
    "attribute": "What is the attribute {}?",
    "exception": "What is the exception {}?",
    "C ": "What is {} in the C API?",
    "term": "What is {}?",
}


def entries():
    """Return ``(question, pages)`` of every index entry whose pages are in the knowledge base."""
    found = defaultdict(set)
    for path in sorted(DOCS.glob("genindex-*.html")):
        if path.name == "genindex-all.html":
            continue
        tree = html.parse(str(path), html.HTMLParser(encoding="utf-8"))
        for row in tree.xpath("//table[contains(@class,'indextable')]//li"):
            links = row.xpath("./a")
            text = links[0].text_content() if links else "".join(row.xpath("./text()[1]"))
            if text.startswith("("):  # under an entry of the same name: "(in module operator)"
                head = row.getparent().getparent().xpath("./a")
                text = f"{head[0].text_content().partition(' (')[0]} {text}" if head else ""
            elif row.getparent().getparent().tag == "li":
                continue  # a phrase under a word, such as "binding": it asks nothing by itself
            for link in links:
                page = urljoin(SITE, link.get("href", "").partition("#")[0])
                if page.removeprefix(SITE).partition("/")[0] in FOLDERS:
                    found[question(text)].add(page)
    found.pop("", None)
    return sorted((asked, frozenset(where)) for asked, where in found.items() if len(where) <= 5)


def question(entry: str) -> str:
    """Return the question behind an index entry, empty where it makes none."""
    entry = " ".join(entry.split())
    match = re.fullmatch(r"(.+?) \((.*)\)", entry)
    name, note = (match[1], match[2]) if match else (entry, "")
    if len(re.sub(r"\W", "", name)) < 3 or "," in name:
        return ""
    kind = "function" if "in module" in note and "()" in name else "term" if "in module" in note else ""
    kind = kind or next((kind for kind in KINDS if kind in note), "term")
    owner = re.search(r"in module ([\w.]+)|class in ([\w.]+)|^([\w.]+) (?:method|attribute|static method|class method)", note)
    asked = KINDS[kind].format(name.removesuffix("()"))
    within = next((part for part in owner.groups() if part), "") if owner else ""
    return asked.replace(name.removesuffix("()"), f"{name.removesuffix('()')} of {within}", 1) if within else asked


def drawn(seed: int, count: int, skip=()):
    """Return ``count`` entries, the same for a seed."""
    pool = [entry for entry in entries() if entry not in set(skip)]
    return random.Random(seed).sample(pool, count)


def measure(state: Path, asked, *, show=False):
    """Return hit@1, hit@5, hit@10, the mean reciprocal rank and milliseconds a search."""
    kb = Store(state)
    ranks = []
    started = time.perf_counter()
    with kb.reading() as db:
        for query, right in asked:
            found = [hit.source for hit in search(db, query, limit=10)]
            rank = next((place for place, source in enumerate(found, 1) if source.partition("#")[0] in right), 0)
            ranks.append(rank)
            if show and rank != 1:
                print(rank or "-", query, sorted(page.removeprefix(SITE) for page in right), "got", [source.removeprefix(SITE) for source in found[:3]])
    seconds = time.perf_counter() - started
    kb.close()
    count = len(asked)
    hits = {f"hit@{top}": sum(0 < rank <= top for rank in ranks) / count for top in (1, 5, 10)}
    mrr = sum(1 / rank for rank in ranks if rank) / count
    return hits | {"mrr": round(mrr, 3), "questions": count, "ms": round(seconds / count * 1000, 1)}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("state", type=Path)
    arguments.add_argument("--tune", action="store_true")
    arguments.add_argument("--show", action="store_true")
    options = arguments.parse_args()
    if not DOCS.is_dir():
        sys.exit("python3-doc is not installed")
    asyncio.run(store(options.state))
    tuning = drawn(1, 100)
    asked = tuning if options.tune else drawn(2, 200, skip=tuning)
    print(json.dumps(measure(options.state, asked, show=options.show)))


if __name__ == "__main__":
    main()
