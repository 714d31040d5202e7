"""Learns which blocks of a page are its content, and writes `connectors/extractors/html/weights.json`.

    python tests/benchmarks/cleaning/train.py --articles FOLDER --pages FOLDER/dev [--write FILE]

Only the tuning halves of the two sets are read. Needs lightgbm, numpy and rapidfuzz, in an environment of its own: the
program itself needs none of them. What it prints is the word F1 of four folds; pages of one site are never parted.
The second trees see what the first, in other folds, made of a block and of those around it.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import math
import sys
from collections import Counter, defaultdict
from pathlib import Path
from urllib.parse import urlsplit

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3])]
sys.setrecursionlimit(20_000)

import lightgbm
import numpy
import pages as pages_set
from connectors.extractors.html import blocks, evidence, judge, metadata, special
from connectors.extractors.html.document import Problem, parse
from connectors.models import Hints, Resource
from measures import f1, half, mean, overlap, words
from rapidfuzz.distance import LCSseq

_SETTINGS = {
    "objective": "cross_entropy", "learning_rate": 0.12, "num_leaves": 16, "min_data_in_leaf": 40, "feature_fraction": 0.4, "bagging_fraction": 0.7,
    "bagging_freq": 1, "lambda_l2": 5, "max_bin": 63, "num_threads": 1, "seed": 1, "verbose": -1,
}  # fmt: skip
_FOLDS = 4
_TREES = 60
_TREES_AGAIN = 25
_FEWEST_SITES = 5
_LEAST_WEIGHT = 0.3
_MOST_CELLS = 4e8


class Marked:
    """A page's blocks, and how much of each stands in the gold."""

    def __init__(self, kind: str, url: str, gold: str, body: bytes) -> None:
        document = parse(Resource(uri=url, requested_uri=url, media_type="text/html", body=body))
        if isinstance(document, Problem):
            raise ValueError(document.detail)
        self.kind, self.site = kind, (urlsplit(url).hostname or url).removeprefix("www.")
        self.about = metadata.read(document, hints=Hints())
        self.found = blocks.read(document.body, special.kinds_of(document.tree, ()))
        self.parser = document.parser  # nodes live as long as it does
        self.gold = words(gold)
        self.words = [words(block.text) for block in self.found.blocks]
        self.shares = _shares(self.words, self.gold)
        self.counts = numpy.array([block.words for block in self.found.blocks], dtype=float)

    def fold(self) -> int:
        return hashlib.md5(self.site.encode()).digest()[0] % _FOLDS

    def importance(self) -> numpy.ndarray:
        """What a block counts: its share of the gold; all that is wrong together at most twice the gold."""
        counted = numpy.minimum(self.counts / max(len(self.gold), 60), 1.0)
        shares = numpy.array(self.shares)
        wrong = (counted * (1 - shares)).sum()
        if wrong > 2:
            counted = numpy.where(shares < 0.5, counted * 2 / wrong, counted)
        return counted + 0.0005


def _shares(found: list[list[str]], gold: list[str]) -> list[float]:
    """Return for each block the share of its words that the gold has, in order or as whole phrases."""
    flat = [word for own in found for word in own]
    hit = [0.0] * len(flat)
    if flat and gold and len(flat) * len(gold) < _MOST_CELLS:
        for step in LCSseq.opcodes(flat, gold):
            if step.tag == "equal":
                size = step.src_end - step.src_start
                hit[step.src_start : step.src_end] = [1.0 if size > 1 else 0.5] * size
    phrases = {tuple(gold[place : place + 4]) for place in range(len(gold) - 3)}
    out, start = [], 0
    for own in found:
        share = sum(hit[start : start + len(own)]) / len(own) if own else 0.0
        start += len(own)
        if len(own) >= 4:
            whole = sum(tuple(own[place : place + 4]) in phrases for place in range(len(own) - 3)) / (len(own) - 3)
            share = max(share if share > 0.8 else min(share, max(whole, 0.3)), whole)
        out.append(share)
    return out


def read(articles: Path, folder: Path):
    gold = json.loads((articles / "ground-truth.json").read_text())
    sources = [
        ("scrapinghub", gold[name].get("url") or "http://page.example/", gold[name].get("articleBody", ""), gzip.decompress((articles / "html" / f"{name}.html.gz").read_bytes()))
        for name in sorted(gold)
        if half(name) == "tune"
    ]
    sources.extend(row[1:] for row in pages_set.truth(folder, "tune", 1))
    for kind, url, text, body in sources:
        try:
            page = Marked(kind, url, text, body)
        except ValueError:
            continue
        if page.found.blocks:
            yield page


def names_of(marked: list[Marked]) -> dict[str, float]:
    """Weigh the words of classes and ids: the mean log odds of what stands under them, a site at least five times."""
    total: dict[str, float] = defaultdict(float)
    sites: dict[str, set[str]] = defaultdict(set)
    seen: Counter[str] = Counter()
    for page in marked:
        right = numpy.concatenate([[0], numpy.cumsum(page.counts * page.shares)])
        every = numpy.concatenate([[0], numpy.cumsum(page.counts)])
        if not right[-1]:
            continue
        base = 0.3 * math.log((right[-1] + 1) / (every[-1] - right[-1] + 1))
        inside: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for part in page.found.parts:
            kept = right[part.last] - right[part.first]
            for name in blocks.names(part.named) if part.words and part.named else ():
                inside[name][0] += kept
                inside[name][1] += every[part.last] - every[part.first] - kept
        for name, (good, bad) in inside.items():
            total[name] += max(-3.0, min(3.0, math.log((good + 1) / (bad + 1)) - base))
            seen[name] += 1
            sites[name].add(page.site)
    weights = {name: round(total[name] / (seen[name] + 3), 2) for name in sorted(total) if len(sites[name]) >= _FEWEST_SITES}
    return {name: float(weight) for name, weight in weights.items() if abs(weight) > _LEAST_WEIGHT}


def fit(marked: list[Marked], chosen: list[list[int]], rows: list[numpy.ndarray], trees: int) -> lightgbm.Booster:
    """Learn from the ``chosen`` blocks of each page, whose rows these are."""
    weight = numpy.concatenate([page.importance()[own] for page, own in zip(marked, chosen, strict=True)])
    wanted = numpy.concatenate([numpy.array(page.shares)[own] for page, own in zip(marked, chosen, strict=True)])
    data = lightgbm.Dataset(numpy.concatenate(rows), label=wanted, weight=weight / weight.mean())
    return lightgbm.train(_SETTINGS, data, num_boost_round=trees)


def in_folds(marked: list[Marked], chosen: list[list[int]], rows: list[numpy.ndarray], trees: int) -> list[list[float]]:
    """Return what trees that never saw a page's site make of its rows."""
    out: list[list[float]] = [[] for _ in marked]
    for fold in range(_FOLDS):
        inner = [place for place, page in enumerate(marked) if page.fold() != fold and chosen[place]]
        learned = fit([marked[place] for place in inner], [chosen[place] for place in inner], [rows[place] for place in inner], trees)
        for place, page in enumerate(marked):
            if page.fold() == fold and chosen[place]:
                out[place] = [float(chance) for chance in learned.predict(rows[place], num_threads=1)]
    return out


def first_rows(marked: list[Marked]) -> list[numpy.ndarray]:
    """Return each page's rows; the weights of names are never learned from the page that they are used on."""
    rows: list[numpy.ndarray] = [numpy.empty(0)] * len(marked)
    for fold in range(_FOLDS):
        names = names_of([page for page in marked if page.fold() != fold])
        for place, page in enumerate(marked):
            if page.fold() == fold:
                rows[place] = numpy.array(evidence.rows(page.found, page.about, names), dtype=numpy.float32)
    return rows


def hoped(page: Marked, chances: list[float]) -> tuple[float, float]:
    return judge.best_threshold(chances, [block.words for block in page.found.blocks])


def score(page: Marked, chances: list[float]) -> float:
    threshold, _ = hoped(page, chances)
    kept = Counter(word for own, chance in zip(page.words, chances, strict=True) if chance >= threshold for word in own)
    return f1(*overlap(kept, Counter(page.gold)))


def _tree(node: dict, names: tuple[str, ...]):
    if "leaf_value" in node:
        return round(node["leaf_value"], 4)
    inner = [_tree(node[side], names) for side in ("left_child", "right_child")]
    return [names[node["split_feature"]], float(f"{node['threshold']:.5g}"), *inner]


def _lines(learned: lightgbm.Booster, names: tuple[str, ...]) -> str:
    trees = [_tree(tree["tree_structure"], names) for tree in learned.dump_model()["tree_info"]]
    return "[\n" + ",\n".join(json.dumps(tree, separators=(",", ":")) for tree in trees) + "\n]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=Path, required=True)
    parser.add_argument("--pages", type=Path, required=True)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    marked = list(read(options.articles, options.pages))
    every = [list(range(len(page.shares))) for page in marked]
    print(len(marked), "pages", sum(map(len, every)), "blocks")
    rows = first_rows(marked)
    chances = in_folds(marked, every, rows, _TREES)
    again = [
        evidence.again(page.found, own.tolist(), first, hoped(page, first)[1])
        for page, own, first in zip(marked, rows, chances, strict=True)
    ]
    chosen = [list(one) for one in again]
    second = [numpy.array(list(one.values()), dtype=numpy.float32) for one in again]
    figures: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for page, first, own, better in zip(marked, chances, chosen, in_folds(marked, chosen, second, _TREES_AGAIN), strict=True):
        final = list(first)
        for place, chance in zip(own, better, strict=True):
            final[place] = chance
        figures[page.kind].append((score(page, first), score(page, final)))
    print("| type | pages | first trees | both |\n|---|---|---|---|")
    for kind, found in sorted(figures.items()):
        print(f"| {kind} | {len(found)} | {mean(one for one, _ in found):.4f} | {mean(both for _, both in found):.4f} |")
    if options.write:
        names = json.dumps(names_of(marked), separators=(",", ":"), ensure_ascii=False)
        trees = _lines(fit(marked, every, rows, _TREES), evidence.NAMES)
        kept = [place for place, own in enumerate(chosen) if own]
        learned = fit([marked[place] for place in kept], [chosen[place] for place in kept], [second[place] for place in kept], _TREES_AGAIN)
        options.write.write_text(f'{{"names":{names},\n"trees":{trees},\n"again":{_lines(learned, evidence.NAMES_AGAIN)}}}\n')


if __name__ == "__main__":
    main()
