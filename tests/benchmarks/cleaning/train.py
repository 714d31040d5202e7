"""Learns which blocks of a page are its content, and writes `connectors/extractors/html/weights.json`.

    python tests/benchmarks/cleaning/train.py --articles FOLDER --pages FOLDER/dev [--readability FOLDER] [--strings FOLDER]
        [--half tune] [--write FILE] [--folds FOLDER]

``--readability`` is ``test/test-pages`` in a checkout of mozilla/readability, ``--strings`` is ``tests`` in one of adbar/trafilatura:
pages to learn from that are never measured. The latter name only some strings that must and must not be kept; what else is content is
what trafilatura takes for it, so that they count less (``--strings-count``), and trafilatura is never a witness about them.

Needs lightgbm, numpy and rapidfuzz, in an environment of its own: the program itself needs none of them. What it prints are
the figures of five folds over whole sites: no page is judged by trees, or by weights of words, that saw a page of its site.
``--folds`` keeps what each fold learned, for `pages.py --folds` and `articles.py --folds`, which measure the whole program so.

The second trees see what the first, in other folds, made of a block and of those around it (so what a fold's second trees
see of other pages was made by first trees that learned from that fold's pages too); for articles they are learned twice,
without and with what trafilatura took for content. The same data, code and lightgbm give the same bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import math
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3])]
sys.setrecursionlimit(20_000)

import lightgbm
import numpy
import pages as pages_set
from connectors.extractors.html import article, blocks, context, evidence, judge, kinds, metadata
from connectors.extractors.html.document import Problem, parse
from connectors.models import Hints, Resource
from measures import FOLDS, f1, fold, half, mean, overlap, shingles, site, words
from rapidfuzz.distance import LCSseq

_SETTINGS = {
    "objective": "cross_entropy", "learning_rate": 0.12, "num_leaves": 16, "min_data_in_leaf": 40, "feature_fraction": 0.4, "bagging_fraction": 0.7,
    "bagging_freq": 1, "lambda_l2": 5, "max_bin": 63, "num_threads": 1, "seed": 1, "deterministic": True, "force_col_wise": True, "verbose": -1,
}  # fmt: skip
_TREES = 60
_TREES_AGAIN = 40
_LEAST_WEIGHT = 0.3
_MOST_CELLS = 4e8
_SHORT = 12  # words of a block that is a saying
_MOST_ODDS = 3.0
_TELLING = 4  # letters of a string that must, or must not, be kept
_MOST_PLACES = 2  # a string that stands in more blocks says little of each
_MOST_OF_BLOCK = 0.3  # a block is not wrong for a string that is less of it
_DOUBTED = 0.5  # what a page counts on which trafilatura and the strings differ


class Marked:
    """A page's blocks, how much of each stands in the gold, and how much of each trafilatura takes, if it is an article.

    ``measured``: whether it counts in the figures; ``counted``: how much it counts in learning.
    """

    measured = True
    counted = 1.0

    def __init__(self, kind: str, url: str, gold: str, body: bytes, *, named: str = "", asked: bool = False) -> None:
        document = parse(Resource(uri=url, requested_uri=url, media_type="text/html", body=body))
        if isinstance(document, Problem):
            raise ValueError(document.detail)
        self.kind, self.url, self.name, self.site = kind, url, named, site(url)
        self.about = metadata.read(document, hints=Hints())
        self.found = _without_nodes(blocks.read(document.body, kinds.kinds_of(document.tree, ())))
        self.gold = words(gold)
        self.words = [words(block.text) for block in self.found.blocks]
        self.shares = numpy.array(_shares(self.words, self.gold))
        self.counts = numpy.array([block.words for block in self.found.blocks], dtype=float)
        self.opinion: list[float] | None = None
        if asked or self.about.article:
            self.opinion = article.opinion(self.found, url, document.decoded.text)  # learning has the time

    def fold(self) -> int:
        return fold(self.site)

    def importance(self) -> numpy.ndarray:
        """What a block counts: its share of the gold; all that is wrong together at most twice the gold."""
        counted = numpy.minimum(self.counts / max(len(self.gold), 60), 1.0)
        wrong = (counted * (1 - self.shares)).sum()
        if wrong > 2:
            counted = numpy.where(self.shares < 0.5, counted * 2 / wrong, counted)
        return (counted + 0.0005) * self.counted


def _without_nodes(found: blocks.Blocks) -> blocks.Blocks:
    """Let go of the parsed page: all of them together are ten gigabytes."""
    for part in found.parts:
        part.node = None
    for block in found.blocks:
        block.nodes = []
    found.images.clear()
    return found


class Weak(Marked):
    """A page of which trafilatura, corrected by some strings, says what is content."""

    measured = False

    def __init__(self, kind: str, url: str, body: bytes, *, said: dict, counted: float) -> None:
        super().__init__(kind, url, "", body, asked=True)
        if self.opinion is None:
            raise ValueError("trafilatura finds too little")
        self.shares = numpy.array(self.opinion)
        self.opinion = None  # it is no witness of what it says itself
        agreed = self._correct(said)
        self.counted = counted if agreed else _DOUBTED * counted
        self.gold = [word for own, share in zip(self.words, self.shares, strict=True) if share >= 0.5 for word in own]

    def _correct(self, said: dict) -> bool:
        """Let the strings decide about the blocks that they stand in; say whether that changes nothing."""
        texts = [_squeezed(block.text) for block in self.found.blocks]
        agreed = True
        for wanted, string in [(1.0, one) for one in said["with"]] + [(0.0, one) for one in said["without"]]:
            key = _squeezed(string)
            places = [
                place
                for place, text in enumerate(texts)
                if key in text and (wanted or len(key) >= _MOST_OF_BLOCK * len(text))
            ]
            if len(key) < _TELLING or (wanted and len(places) > _MOST_PLACES):
                continue
            agreed = agreed and all((self.shares[place] >= 0.5) == bool(wanted) for place in places)
            self.shares[places] = wanted
        return agreed


def _squeezed(text: str) -> str:
    return "".join(text.split()).lower()


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


def read(articles: Path, folder: Path, which: str):
    gold = json.loads((articles / "ground-truth.json").read_text())
    sources = [
        (name, "scrapinghub", gold[name].get("url") or "http://page.example/", gold[name].get("articleBody", ""), gzip.decompress((articles / "html" / f"{name}.html.gz").read_bytes()))
        for name in sorted(gold)
        if which in ("all", half(name))
    ]
    sources.extend(pages_set.truth(folder, which, 1))
    for name, kind, url, text, body in sources:
        try:
            page = Marked(kind, url, text, body, named=name)
        except ValueError:
            continue
        if page.found.blocks:
            yield page


_ADDRESS = re.compile(rb'<link[^>]+rel="?canonical"?[^>]+href="(http[^"]+)"|property="og:url" content="(http[^"]+)"')


def read_readability(folder: Path):
    """Yield the pages of mozilla/readability; their gold is HTML."""
    for one in sorted(folder.iterdir()):
        body, wanted = ((one / name).read_bytes() for name in ("source.html", "expected.html"))
        found = _ADDRESS.search(body)
        url = (found.group(1) or found.group(2)).decode("utf-8", "replace") if found else f"http://{one.name}.example/"
        gold = parse(Resource(uri=url, requested_uri=url, media_type="text/html", charset="utf-8", body=wanted))
        if isinstance(gold, Problem):
            continue
        text = " ".join(block.text for block in blocks.read(gold.body, {}).blocks)
        page = Marked("readability", url, text, body, named=one.name)
        page.measured = False
        if page.found.blocks:
            yield page


def read_strings(folder: Path, counted: float):
    """Yield the pages of adbar/trafilatura's evaluation."""
    for url, said in json.loads((folder / "evaldata.json").read_text()).items():
        for path in (folder / "eval" / said["file"], folder / "cache" / said["file"]):
            if path.exists():
                with contextlib.suppress(ValueError):
                    yield Weak("strings", url, path.read_bytes(), said=said, counted=counted)
                break


class _Odds:
    """The mean log odds of keys over pages, drawn towards nothing where few pages have them."""

    def __init__(self, *, drawn: int, fewest_sites: int) -> None:
        self._drawn, self._fewest = drawn, fewest_sites
        self._total: dict[str, float] = defaultdict(float)
        self._seen: Counter[str] = Counter()
        self._sites: dict[str, set[str]] = defaultdict(set)

    def add(self, site_name: str, found: dict[str, list[float]], base: float) -> None:
        """Add what stood under each key of one page: words of content and other words."""
        for key, (good, bad) in found.items():
            self._total[key] += max(-_MOST_ODDS, min(_MOST_ODDS, math.log(good / bad) - base))
            self._seen[key] += 1
            self._sites[key].add(site_name)

    def weights(self) -> dict[str, float]:
        weighed = {key: round(self._total[key] / (self._seen[key] + self._drawn), 2) for key in sorted(self._total) if len(self._sites[key]) >= self._fewest}
        return {key: float(weight) for key, weight in weighed.items() if abs(weight) > _LEAST_WEIGHT}


def weights_of(marked: list[Marked]) -> evidence.Weights:
    """Weigh the words of classes and ids by what stands in the elements, of headings by what stands under them, of short blocks."""
    names, heads, sayings = _Odds(drawn=3, fewest_sites=5), _Odds(drawn=4, fewest_sites=8), _Odds(drawn=5, fewest_sites=12)
    for page in marked:
        kept = page.counts * page.shares
        if not kept.sum():
            continue
        base = 0.3 * math.log((kept.sum() + 1) / (page.counts.sum() - kept.sum() + 1))
        names.add(page.site, _named(page, kept), base)
        heads.add(page.site, _headed(page, kept), base)
        short = [place for place, count in enumerate(page.counts) if count <= _SHORT]
        share = page.shares[short].mean() if short else 0.5
        sayings.add(page.site, _said(page, short), 0.5 * math.log((share + 0.02) / (1.02 - share)))
    return evidence.Weights(names=names.weights(), sayings=sayings.weights(), headings=heads.weights())


def _named(page: Marked, kept: numpy.ndarray) -> dict[str, list[float]]:
    right, every = (numpy.concatenate([[0], numpy.cumsum(one)]) for one in (kept, page.counts))
    out: dict[str, list[float]] = defaultdict(lambda: [1.0, 1.0])
    for part in page.found.parts:
        good = right[part.last] - right[part.first]
        for name in blocks.names(part.named) if part.words and part.named else ():
            out[name][0] += good
            out[name][1] += every[part.last] - every[part.first] - good
    return out


def _headed(page: Marked, kept: numpy.ndarray) -> dict[str, list[float]]:
    out: dict[str, list[float]] = defaultdict(lambda: [1.0, 1.0])
    keys: list[str] = []
    for place, block in enumerate(page.found.blocks):
        if block.part.tag in blocks.HEADINGS:
            keys = evidence.sayings(block.text.lower())
        for key in keys:
            out[key][0] += kept[place]
            out[key][1] += page.counts[place] - kept[place]
    return out


def _said(page: Marked, short: list[int]) -> dict[str, list[float]]:
    out: dict[str, list[float]] = defaultdict(lambda: [0.5, 0.5])
    for place in short:
        for key in evidence.sayings(page.found.blocks[place].text.lower()):
            if not key.isdigit():
                out[key][0] += page.shares[place]
                out[key][1] += 1 - page.shares[place]
    return out


Rows = list[tuple[int, list[int], numpy.ndarray]]
"""Rows to learn from: which page, which of its blocks, and their rows."""


def fit(marked: list[Marked], rows: Rows, trees: int) -> lightgbm.Booster:
    weight = numpy.concatenate([marked[page].importance()[own] for page, own, _ in rows])
    wanted = numpy.concatenate([marked[page].shares[own] for page, own, _ in rows])
    data = lightgbm.Dataset(numpy.concatenate([one for _, _, one in rows]), label=wanted, weight=weight / weight.mean())
    return lightgbm.train(_SETTINGS, data, num_boost_round=trees)


def in_folds(marked: list[Marked], rows: Rows, trees: int) -> tuple[list[list[float]], list[lightgbm.Booster]]:
    """Return what trees that never saw a page's site make of its rows, and the trees of each fold."""
    out: list[list[float]] = [[] for _ in rows]
    learned = []
    for number in range(FOLDS):
        learned.append(fit(marked, [one for one in rows if marked[one[0]].fold() != number], trees))
        for place, (page, _, own) in enumerate(rows):
            if marked[page].fold() == number:
                out[place] = [float(chance) for chance in learned[-1].predict(own, num_threads=1)]
    return out, learned


def first_rows(marked: list[Marked], weights: list[evidence.Weights]) -> Rows:
    """Return each page's rows; the weights of words are never learned from the page that they are used on."""
    out = []
    for place, page in enumerate(marked):
        rows = evidence.rows(page.found, page.about, page.url, weights[page.fold()])
        out.append((place, list(range(len(rows))), numpy.array(rows, dtype=numpy.float32)))
    return out


def second_rows(marked: list[Marked], rows: Rows, chances: list[list[float]], *, asked: bool) -> Rows:
    out = []
    for (place, _, own), chance in zip(rows, chances, strict=True):
        page = marked[place]
        if asked and page.opinion is None:
            continue
        _, hoped = judge.best_threshold(chance, [block.words for block in page.found.blocks])
        again = context.rows(page.found, own.tolist(), chance, hoped, page.opinion if asked else None)
        if again:
            out.append((place, list(again), numpy.array(list(again.values()), dtype=numpy.float32)))
    return out


def merged(chances: list[list[float]], rows: Rows, better: list[list[float]]) -> list[list[float]]:
    out = [list(one) for one in chances]
    for (page, own, _), found in zip(rows, better, strict=True):
        for place, chance in zip(own, found, strict=True):
            out[page][place] = chance
    return out


def score(page: Marked, chances: list[float]) -> tuple[float, float]:
    """Return precision and recall of the choice that the judge makes of these chances."""
    threshold, sureness = judge.best_threshold(chances, [block.words for block in page.found.blocks])
    keep = judge.choice(page.found, page.about, chances, threshold, sureness).keep
    if page.kind == "scrapinghub":  # its gold is the article's body, and its measure sequences of four words
        text = " ".join(word for own, kept, block in zip(page.words, keep, page.found.blocks, strict=True) if kept and block.part.tag != "h1" for word in own)
        return overlap(shingles(text), shingles(" ".join(page.gold)))
    return overlap(Counter(word for own, kept in zip(page.words, keep, strict=True) if kept for word in own), Counter(page.gold))


def report(marked: list[Marked], columns: dict[str, list[list[float]]]) -> None:
    print("| type | pages |", " | ".join(columns), "|\n|---|---|" + "---|" * len(columns))
    measured = [place for place, page in enumerate(marked) if page.measured]
    scores = {name: [score(marked[place], chances[place]) for place in measured] for name, chances in columns.items()}
    marked = [marked[place] for place in measured]
    kinds = sorted({page.kind for page in marked} - {"scrapinghub"})
    for kind in (*kinds, "all types"):
        chosen = [place for place, page in enumerate(marked) if page.kind == kind or (kind == "all types" and page.kind != "scrapinghub")]
        print(f"| {kind} | {len(chosen)} |", " | ".join(f"{mean(f1(*own[place]) for place in chosen):.4f}" for own in scores.values()), "|")
    chosen = [place for place, page in enumerate(marked) if page.kind == "scrapinghub"]
    figures = (f1(mean(own[place][0] for place in chosen), mean(own[place][1] for place in chosen)) for own in scores.values())
    print(f"| scrapinghub | {len(chosen)} |", " | ".join(f"{figure:.4f}" for figure in figures), "|", flush=True)


def _tree(node: dict, names: tuple[str, ...]):
    if "leaf_value" in node:
        return round(node["leaf_value"], 4)
    inner = [_tree(node[side], names) for side in ("left_child", "right_child")]
    return [names[node["split_feature"]], float(f"{node['threshold']:.5g}"), *inner]


def _lines(learned: lightgbm.Booster, names: tuple[str, ...]) -> str:
    trees = [_tree(tree["tree_structure"], names) for tree in learned.dump_model()["tree_info"]]
    return "[\n" + ",\n".join(json.dumps(tree, separators=(",", ":")) for tree in trees) + "\n]"


def _written(weights: evidence.Weights, first: lightgbm.Booster, again: lightgbm.Booster) -> str:
    words_of = {name: json.dumps(getattr(weights, name), separators=(",", ":"), ensure_ascii=False) for name in ("names", "sayings", "headings")}
    trees = {"trees": _lines(first, evidence.NAMES), "again": _lines(again, context.NAMES)}
    return "{" + ",\n".join(f'"{name}":{value}' for name, value in (words_of | trees).items()) + "}\n"


def learn(marked: list[Marked], *, folder: Path | None, write: Path | None) -> None:
    told = [page for page in marked if not isinstance(page, Weak)]
    weights = [weights_of([page for page in told if page.fold() != number]) for number in range(FOLDS)]
    rows = first_rows(marked, weights)
    chances, first = in_folds(marked, rows, _TREES)
    alone, asked = (second_rows(marked, rows, chances, asked=one) for one in (False, True))
    second, again = in_folds(marked, alone + asked, _TREES_AGAIN)
    both = merged(chances, alone, second[: len(alone)])
    report(marked, {"first trees": chances, "both": both, "and trafilatura": merged(both, asked, second[len(alone) :])})
    if folder:
        folder.mkdir(exist_ok=True)
        for number in range(FOLDS):
            (folder / f"{number}.json").write_text(_written(weights[number], first[number], again[number]))
    if write:
        write.write_text(_written(weights_of(told), fit(marked, rows, _TREES), fit(marked, alone + asked, _TREES_AGAIN)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=Path, required=True)
    parser.add_argument("--pages", type=Path, required=True)
    parser.add_argument("--readability", type=Path, help="test/test-pages of mozilla/readability")
    parser.add_argument("--strings", type=Path, help="tests of adbar/trafilatura")
    parser.add_argument(
        "--strings-count", type=float, default=0.3, help="what a page of --strings counts; others count 1"
    )
    parser.add_argument("--half", choices=("tune", "all"), default="all")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--folds", type=Path)
    options = parser.parse_args()
    marked = list(read(options.articles, options.pages, options.half))
    if options.readability:
        marked.extend(read_readability(options.readability))
    if options.strings:
        marked.extend(read_strings(options.strings, options.strings_count))
    print(len(marked), "pages", sum(len(page.shares) for page in marked), "blocks", flush=True)
    learn(marked, folder=options.folds, write=options.write)


if __name__ == "__main__":
    main()
