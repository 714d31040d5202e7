"""Memory and cost as a site grows: imports sites of several sizes, one after the other.

    uv run python tests/benchmarks/speed/scale.py [SIZES...] [--folder SITE_FOLDER] [--start index.html]
        [--options='--scope host']        # default: 1000 20000

Each site is a tree of documentation-like pages (about 6 kB each, twenty links) served by nginx on loopback; or a real
site that has at least as many, of which the pages are imported that the crawl meets first (`--max-pages`).
Reported for each size: pages verified, CPU milliseconds a page of all processes, wall seconds, peak memory of all
processes and where it was, and the CPU of an unchanged run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shlex
import signal
import sys
import tempfile
from pathlib import Path

from family import Measured, measured
from run import program, serve

WORDS = re.findall("[A-Za-z]{2,}", Path(__file__).read_text())  # no markup: the pages must be whole
PARAGRAPHS, LINKS = 12, 20


def page(number: int, size: int, rng: random.Random) -> str:
    """Return one page: its children in a tree of twenty branches, so that every page is reached in few clicks."""
    children = [child for child in range(number * LINKS + 1, number * LINKS + LINKS + 1) if child < size]
    links = "".join(f'<li><a href="p{child}.html">Chapter {child}</a></li>' for child in children)
    text = "".join(
        f"<h2>Part {part} of {number}</h2><p>{' '.join(rng.choices(WORDS, k=55))}</p>" for part in range(PARAGRAPHS)
    )
    return (
        f"<!doctype html><html lang=en><head><title>Chapter {number}</title></head>"
        f"<body><nav><a href=p0.html>Home</a></nav>"
        f"<main><h1>Chapter {number}</h1>{text}<pre><code>x = {number}\n\ny = x + 1</code></pre><ul>{links}</ul></main>"
        f"<footer>The same on every page</footer></body></html>"
    )


def generated(site: Path, size: int) -> None:
    site.mkdir()
    rng = random.Random(size)
    for number in range(size):
        (site / f"p{number}.html").write_text(page(number, size, rng))


def imported(folder: Path, scratch: Path, words: list[str]) -> tuple[Measured, Measured]:
    """Import a folder's site and import it again; the words are the start page and the options."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PERSONA_")}
    base, server = serve(folder, scratch)
    try:
        command = [program(), "import", base + words[0], "--json", "--concurrency", "32", "--delay", "0", *words[1:]]
        environment = clean | {"PERSONA_INGEST_STATE": str(scratch / "state")}
        return measured(command, environment), measured(command, environment)
    finally:
        os.kill(server, signal.SIGTERM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", type=int, nargs="*", default=[1000, 20000])
    parser.add_argument("--folder", type=Path, help="a real site instead of generated ones")
    parser.add_argument("--start", default="index.html", help="where the crawl of a real site begins")
    parser.add_argument("--options", type=shlex.split, default=[], help="more options of the import, in one word")
    args = parser.parse_args()
    print(f"{'pages':>8} {'verified':>9} {'CPU ms a page':>14} {'wall s':>8} {'peak MB':>8} {'again: CPU ms':>14}")
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder)
            scratch.chmod(0o755)  # nginx' workers are another user
            if args.folder is None:
                generated(scratch / "site", size)
            words = [args.start, "--max-pages", str(size)] if args.folder else ["p0.html"]
            first, again = imported(args.folder or scratch / "site", scratch, [*words, *args.options])
        summary = json.loads(first.out)["sources"][0]
        if summary["state"] != "completed":
            sys.stderr.write(f"{summary}\n")
        read = max(summary["urls"]["fetched"], 1)
        where = ", ".join(f"{name} {mb:.0f} MB" for name, mb in first.peaks.items())
        print(
            f"{read:8} {summary['verified']:9} {1000 * first.cpu / read:14.1f} {first.wall:8.1f} {first.peak_mb:8.0f}"
            f" {1000 * again.cpu / read:14.2f}   {where}",
            flush=True,
        )


if __name__ == "__main__":
    main()
