"""Memory and cost as a site grows: imports generated sites of several sizes, one after the other.

    uv run python tests/benchmarks/speed/scale.py [SIZES...]        # default: 1000 20000

Each site is a tree of documentation-like pages (about 6 kB each, twenty links) served by nginx on loopback. Reported
for each size: pages verified, CPU milliseconds a page of all processes, wall seconds, peak memory of all processes.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from family import measured
from run import serve

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


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or [1000, 20000]
    command = shutil.which("persona-ingest") or str(Path(sys.executable).with_name("persona-ingest"))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PERSONA_")}
    print(f"{'pages':>8} {'verified':>9} {'CPU ms a page':>14} {'wall s':>8} {'peak MB':>8} {'again: CPU ms':>14}")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder)
            scratch.chmod(0o755)  # nginx' workers are another user
            site = scratch / "site"
            site.mkdir()
            rng = random.Random(size)
            for number in range(size):
                (site / f"p{number}.html").write_text(page(number, size, rng))
            base, server = serve(site, scratch)
            try:
                words = [command, "import", f"{base}p0.html", "--json", "--concurrency", "32", "--delay", "0"]
                environment = clean | {"PERSONA_INGEST_STATE": str(scratch / "state")}
                first, again = measured(words, environment), measured(words, environment)
            finally:
                os.kill(server, signal.SIGTERM)
            summary = json.loads(first.out)["sources"][0]
            verified = summary["verified"]
            if summary["state"] != "completed":
                sys.stderr.write(f"{summary}\n")
            print(
                f"{size:8} {verified:9} {1000 * first.cpu / size:14.1f} {first.wall:8.1f} {first.peak_mb:8.0f}"
                f" {1000 * again.cpu / size:14.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
