"""What cleaning costs a page, and whether each page still comes out byte for byte as it did.

    python tests/benchmarks/cleaning/cost.py FOLDER... [--pages 50] [--rounds 5] [--answers FILE]

Pages are a fixed choice of a folder's HTML files, cleaned in this process as a cleaner does it; printed is the least
CPU time of the rounds. ``--answers`` writes a hash of each page's whole answer (page, links, flags, report, draft) to
FILE; where FILE is there already, the pages that differ are named and the exit code is 1. Two runs under
``valgrind --tool=cachegrind --cache-sim=no``, with ``--rounds 1`` and 10 and 50 pages, tell instructions a page, which
no load changes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from connectors.extractors import wire, work
from connectors.memory import collect_rarely
from connectors.models import CleaningRules, Resource


def _pages(folder: Path, many: int) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and {".html", ".htm"} & set(path.suffixes))
    random.Random(1).shuffle(found)
    return found[:many]


def _request(path: Path) -> tuple[bytes, bytes]:
    body = path.read_bytes()
    body = gzip.decompress(body) if path.suffix == ".gz" else body
    uri = f"https://docs.example.com{path}"
    head, body = wire.request(Resource(uri=uri, requested_uri=uri, media_type="text/html", body=body), CleaningRules())
    return head[wire.LENGTHS.size :], body


def _least(requests: list[tuple[bytes, bytes]], rounds: int) -> tuple[float, list[str]]:
    """Return the least CPU milliseconds a page, and a hash of each answer."""
    least, answers = float("inf"), []
    for _ in range(rounds):
        start = time.process_time()
        frames = [wire.answer(work.drafted(*wire.read_request(*asked))) for asked in requests]
        least = min(least, time.process_time() - start)
        answers = [hashlib.sha256(frame).hexdigest() for frame in frames]
    return least * 1000 / max(len(requests), 1), answers


def main() -> int:
    """Print a line a folder; return 1 when a page differs from what was kept."""
    parser = argparse.ArgumentParser(description="CPU time of cleaning, and whether it says the same.")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--answers", type=Path)
    options = parser.parse_args()
    work.preload()
    collect_rarely()
    now: dict[str, str] = {}
    for folder in options.folders:
        paths = _pages(folder.resolve(), options.pages)
        spent, answers = _least([_request(path) for path in paths], options.rounds)
        now.update(zip(map(str, paths), answers, strict=True))
        print(f"{folder}: {len(paths)} pages, {spent:.2f} ms of CPU a page")
    if options.answers is None:
        return 0
    if not options.answers.exists():
        options.answers.write_text(json.dumps(now))
        return 0
    before = json.loads(options.answers.read_text())
    differ = [path for path, answer in now.items() if before.get(path, answer) != answer]
    print(f"{len(now)} pages compared, {len(differ)} differ", *differ, sep="\n")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
