"""Articles: the Scrapinghub benchmark (4-gram F1 as in its own evaluate.py), ours beside trafilatura.

    python tests/benchmarks/cleaning/articles.py [--half report|tune|all] FOLDER

FOLDER is a checkout of scrapinghub/article-extraction-benchmark.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3])]

import systems
from measures import f1, half, mean, median, overlap, shingles, take_apart


def without_title(markdown: str) -> str:
    """The gold is the article's body: the h1 that we add is not part of it."""
    return re.sub(r"\A# .*\n", "", markdown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=("tune", "report", "all"), default="report")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--misses", type=int, default=0)
    parser.add_argument("--folds", type=Path, help="judge by what `train.py --folds` learned without a page's site")
    options = parser.parse_args()
    if options.folds:
        systems.judge_in_folds(options.folds)
    cache = json.loads(options.cache.read_text()) if options.cache and options.cache.exists() else {}
    gold = json.loads((options.folder / "ground-truth.json").read_text())
    figures: dict[str, list] = {"ours": [], "trafilatura": []}
    ms: dict[str, list] = {"ours": [], "trafilatura": []}
    misses = []
    strategies: dict[str, int] = {}
    for name in sorted(gold):
        if options.half not in ("all", half(name)):
            continue
        body = gzip.decompress((options.folder / "html" / f"{name}.html.gz").read_bytes())
        url = gold[name].get("url") or "http://page.example/"
        markdown, cost, strategy = systems.ours(body, url)
        strategies[strategy] = strategies.get(strategy, 0) + 1
        if name not in cache:
            cache[name] = systems.theirs(body, url)
        their, their_cost = cache[name]
        wanted = shingles(gold[name].get("articleBody", ""))
        pair = overlap(shingles(take_apart(without_title(markdown)).text), wanted), overlap(shingles(take_apart(without_title(their)).text), wanted)
        figures["ours"].append(pair[0])
        figures["trafilatura"].append(pair[1])
        ms["ours"].append(cost)
        ms["trafilatura"].append(their_cost)
        misses.append((f1(*pair[0]) - f1(*pair[1]), name[:12], strategy, [round(x, 3) for x in pair[0]], [round(x, 3) for x in pair[1]], url[:80]))
    if options.cache:
        options.cache.write_text(json.dumps(cache))
    print("| system | pages | precision | recall | F1 | ms median | ms mean |\n|---|---|---|---|---|---|---|")
    for system, found in figures.items():
        precision, recall = mean(p for p, _ in found), mean(r for _, r in found)
        print(f"| {system} | {len(found)} | {precision:.3f} | {recall:.3f} | {f1(precision, recall):.4f} | {median(ms[system]):.1f} | {mean(ms[system]):.1f} |")
    print(strategies)
    for miss in sorted(misses)[: options.misses]:
        print(*miss)


if __name__ == "__main__":
    main()
