"""Page types: the WCXB development set, word F1 per type, ours beside trafilatura.

    python tests/benchmarks/cleaning/pages.py [--half report|tune|all] [--every N] FOLDER/dev

FOLDER is a checkout of Murrough-Foley/web-content-extraction-benchmark. Its test split is not for tuning.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3])]

import systems
from measures import IMAGE, f1, half, mean, median, overlap, take_apart, words


def truth(folder: Path, which: str, every: int):
    files = sorted((folder / "ground-truth").glob("*.json"))
    for path in [path for path in files if which == "all" or half(path.stem) == which][::every]:
        data = json.loads(path.read_text())
        gold = data.get("ground_truth") or {}
        kind = ((data.get("_internal") or {}).get("page_type") or {}).get("primary", "article")
        body = gzip.decompress((folder / "html" / f"{path.stem}.html.gz").read_bytes())
        yield path.stem, "collection" if kind == "category" else kind, data.get("url") or "http://page.example/", gold.get("main_content") or "", body


def word_f1(markdown: str, gold: str, *, alts: bool = True) -> float:
    markdown = markdown if alts else IMAGE.sub("", markdown)
    return f1(*overlap(Counter(words(take_apart(markdown).text)), Counter(words(gold))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=("tune", "report", "all"), default="report")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--cache", type=Path, help="keep trafilatura's answers in this file")
    parser.add_argument("--no-alts", action="store_true", help="count no alt texts of pictures: the gold has none")
    parser.add_argument("--misses", type=int, default=0)
    parser.add_argument("--folds", type=Path, help="judge by what `train.py --folds` learned without a page's site")
    options = parser.parse_args()
    if options.folds:
        systems.judge_in_folds(options.folds)
    cache = json.loads(options.cache.read_text()) if options.cache and options.cache.exists() else {}
    rows: dict[str, list] = defaultdict(list)
    strategies: dict[str, list] = defaultdict(list)
    misses = []
    for name, kind, url, gold, body in truth(options.folder, options.half, options.every):
        markdown, ms, strategy = systems.ours(body, url)
        if name not in cache:
            cache[name] = systems.theirs(body, url)
        their, their_ms = cache[name]
        one, two = (word_f1(text, gold, alts=not options.no_alts) for text in (markdown, their))
        rows[kind].append((one, two, ms, their_ms))
        strategies[strategy].append((one, two))
        misses.append((one - two, name, kind, strategy, round(one, 3), round(two, 3), url[:90]))
    if options.cache:
        options.cache.write_text(json.dumps(cache))
    print("| type | pages | ours | trafilatura | ms ours (median) | ms trafilatura |\n|---|---|---|---|---|---|")
    everything = [row for kind in rows.values() for row in kind]
    for kind, found in [*sorted(rows.items()), ("**all**", everything)]:
        print(f"| {kind} | {len(found)} | {mean(r[0] for r in found):.3f} | {mean(r[1] for r in found):.3f} | {median(r[2] for r in found):.1f} | {median(r[3] for r in found):.1f} |")
    print("\n| strategy | pages | ours | trafilatura |\n|---|---|---|---|")
    for strategy, found in sorted(strategies.items(), key=lambda item: -len(item[1])):
        print(f"| {strategy} | {len(found)} | {mean(r[0] for r in found):.3f} | {mean(r[1] for r in found):.3f} |")
    for miss in sorted(misses)[: options.misses]:
        print(*miss)


if __name__ == "__main__":
    main()
