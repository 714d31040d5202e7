"""Pages a second and CPU a page, ours beside the peers, in one run on one machine.

    uv run python tests/benchmarks/speed/run.py SITE_FOLDER [--start index.html] [--pages N]
        [--peers scrapy,crawlee,crawl4ai] [--again] [--server temporary,running] [--gold docbook|sphinx]
        [--api embedded,elsewhere] [--threads] [--options='--scope host']

SITE_FOLDER is served by nginx on loopback. Peers are installed into environments of their own (``--envs``), never
into ours. Each figure is of all processes of the contestant: CPU seconds a page, wall seconds, peak memory (sum of
proportional set sizes), pages kept. Absolute figures hold for the machine; ratios are what to compare.

Ours runs with the temporary Prefect server of a first import, or beside one that runs already (``running``), whose
CPU is told apart. The knowledge base is the embedded one, in the same process; with ``--api elsewhere`` it is a
`persona-ingest serve` of its own, as the vendor's is: a row says then what crawl, cleaning and delivery cost, and what
storing, reading back and prompts cost over there is told apart. ``--threads`` tells the CPU of the command's threads,
the ledger's among them. ``--gold`` compares what was kept with the gold of tests/benchmarks/cleaning/docs.py: F1 of
the text.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from family import Measured, cpu_of, measured

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
PEERS = {
    "scrapy": ("scrapy_trafilatura.py", ["scrapy", "trafilatura", "lxml_html_clean"]),
    "crawlee": ("crawlee_trafilatura.py", ["crawlee[parsel]", "trafilatura", "lxml_html_clean"]),
    "crawl4ai": ("crawl4ai_http.py", ["crawl4ai"]),
}


LABELS = {"temporary": "ours", "running": "ours, server running", "embedded": "", "elsewhere": ", API elsewhere"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(folder: Path, scratch: Path) -> tuple[str, int]:
    port = free_port()
    config = scratch / "nginx.conf"
    config.write_text(
        f"""daemon on; worker_processes 1; pid {scratch}/pid; error_log {scratch}/error.log;
events {{ worker_connections 1024; }}
http {{ include /etc/nginx/mime.types; client_body_temp_path {scratch}/body; keepalive_requests 100000;
  log_format when '$msec $uri'; access_log {scratch}/access.log when;
  server {{ listen 127.0.0.1:{port}; root {folder.resolve()}; index index.html; }} }}
"""
    )
    subprocess.run(["nginx", "-c", str(config)], check=True)
    return f"http://127.0.0.1:{port}/", int((scratch / "pid").read_text())


def environment(peer: str, envs: Path) -> Path:
    python = envs / peer / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "-q", str(envs / peer)], check=True)
        subprocess.run(["uv", "pip", "install", "-q", "--python", str(python), *PEERS[peer][1]], check=True)
    return python


def first_page(scratch: Path, start: str, began: float) -> float:
    """Return how long after ``began`` the start page was asked for; the server's log is empty after that."""
    log = scratch / "access.log"
    asked = [line.split(" ", 1) for line in log.read_text().splitlines()]
    log.write_text("")
    return next((float(at) - began for at, path in asked if path == f"/{start}"), 0.0)


@contextlib.contextmanager
def prefect_server(scratch: Path) -> Iterator[dict[str, str]]:
    """Start the server that a machine with Prefect has anyway; yield the settings that lead to it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    settings = {"PREFECT_HOME": str(scratch / "prefect"), "PREFECT_API_URL": url, "DO_NOT_TRACK": "1"}
    settings |= {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_UI_ENABLED": "false"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=os.environ | settings, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.5)
        time.sleep(5)  # its services have begun
        yield settings
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


@contextlib.contextmanager
def api_elsewhere(state: Path) -> Iterator[tuple[dict[str, str], int]]:
    """Serve a knowledge base on loopback; yield the settings that lead to it, and the process that serves."""
    settings = {"PERSONA_CLIENT_SECRET": "of-this-benchmark"}
    env = {name: value for name, value in os.environ.items() if not name.startswith("PERSONA_")} | settings
    command = [program(), "serve", "--port", "0", "--state", str(state)]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = next(line.split()[-1] for line in process.stderr if "/persona/" in line)
            yield settings | {"PERSONA_BASE_URL": address}, process.pid
        finally:
            process.terminate()


def program() -> str:
    return shutil.which("persona-ingest") or str(Path(sys.executable).with_name("persona-ingest"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """How ours is run."""

    start: str
    pages: int
    options: tuple[str, ...] = ()
    again: bool = False
    threads: bool = False
    elsewhere: bool = False


def ours(how: Ours, scratch: Path, *, label: str, settings: dict[str, str]) -> list[tuple[str, Measured, int]]:
    """Import into a new state folder, and once more."""
    state = scratch / f"state-{len(list(scratch.glob('state-*')))}"
    kept_env = {k: v for k, v in os.environ.items() if not k.startswith(("PERSONA_", "PREFECT_"))}
    env = kept_env | settings | {"PERSONA_INGEST_STATE": str(state)}
    if how.threads:
        env["PYTHONPATH"] = str(HERE / "named")
    command = [program(), "import", how.start, "--json", "--concurrency", "32", "--delay", "0"]
    command += ["--max-pages", str(how.pages), *how.options]
    store = scratch / f"api-{state.name}" if how.elsewhere else state
    rows = []
    with api_elsewhere(store) if how.elsewhere else contextlib.nullcontext(({}, 0)) as (address, api):
        for name in [label, f"{label}, unchanged"][: 2 if how.again else 1]:
            began, spent = time.time(), cpu_of(api)
            row = measured(command, env | address)
            row.elsewhere = cpu_of(api) - spent if api else None
            row.first_page_s = first_page(scratch, urlsplit(how.start).path[1:], began)
            summary = json.loads(row.out)["sources"][0]
            if summary["state"] != "completed":
                sys.stderr.write(f"{summary}\n")
            rows.append((name, row, summary["urls"]["fetched" if name == label else "not_modified"]))
    with contextlib.closing(sqlite3.connect(store / "knowledge-base.sqlite3")) as base:
        found = base.execute("SELECT source, content FROM items JOIN pages ON pages.id = page_id")
        lines = [json.dumps({"url": source, "content": content}) for source, content in found]
    (scratch / f"{label}.jsonl").write_text("\n".join(lines))
    return rows


def f1_of(output: Path, folder: Path, name: str, most: int = 150) -> tuple[float, int]:
    """Return the mean F1 of the text against the gold, and of how many pages (an even sample of them)."""
    sys.path.insert(0, str(HERE.parent / "cleaning"))
    from docs import Gold, scores

    rows = [json.loads(line) for line in output.read_text().splitlines() if line.strip()]
    rows.sort(key=lambda row: row["url"])
    found = []
    for row in rows[:: max(1, len(rows) // most)]:
        path = folder / unquote(urlsplit(row["url"]).path).lstrip("/")
        if path.is_file():
            gold = Gold(path.read_bytes(), row["url"], name)
            if gold.ok and len(gold.text.split()) >= 20:  # an index page says nothing
                found.append(scores(gold, row["content"] or "")["text"][0])
    return (mean(found) if found else 0.0), len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--start", default="index.html")
    parser.add_argument("--pages", type=int, default=301)
    parser.add_argument("--peers", default="scrapy,crawlee,crawl4ai")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--envs", type=Path, default=Path(tempfile.gettempdir()) / "persona-ingest-peers")
    parser.add_argument("--again", action="store_true", help="also measure a second, unchanged run of ours")
    parser.add_argument("--server", default="temporary", help="temporary, running, or both with a comma")
    parser.add_argument("--api", default="embedded", help="embedded, elsewhere, or both with a comma")
    parser.add_argument("--threads", action="store_true", help="also tell the CPU of the command's threads")
    parser.add_argument("--options", type=shlex.split, default=[], help="more options of our import, in one word")
    parser.add_argument("--gold", default="", help="the site's generator, as docs.py calls it")
    args = parser.parse_args()
    peers = [peer for peer in args.peers.split(",") if peer]
    pythons = {peer: environment(peer, args.envs) for peer in peers}
    results: list[tuple[str, Measured, int]] = []
    judged: dict[str, tuple[float, int]] = {}
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder)
            scratch.chmod(0o755)  # nginx' workers are another user
            base, server = serve(args.folder, scratch)
            try:
                for peer in peers:
                    out, began = scratch / f"{peer}.jsonl", time.time()
                    program = [str(pythons[peer]), str(HERE / "peers" / PEERS[peer][0])]
                    row = measured([*program, base + args.start, str(args.pages), str(out)])
                    row.first_page_s = first_page(scratch, args.start, began)
                    results.append((peer, row, len(out.read_text().splitlines())))
                for mode, api in product(args.server.split(","), args.api.split(",")):
                    how = Ours(
                        start=base + args.start,
                        pages=args.pages,
                        options=tuple(args.options),
                        again=args.again,
                        threads=args.threads,
                        elsewhere=api == "elsewhere",
                    )
                    with prefect_server(scratch) if mode == "running" else contextlib.nullcontext({}) as settings:
                        before = resource.getrusage(resource.RUSAGE_CHILDREN)
                        label = LABELS[mode] + LABELS[api]
                        rows = ours(how, scratch, label=label, settings=settings)
                        beside = spent_since(before) - sum(row.cpu for _, row, _ in rows)  # the API's, which has ended
                    if mode == "running":
                        told_apart(before, [row for _, row, _ in rows], beside)
                    results += rows
                if args.gold:
                    for out in scratch.glob("*.jsonl"):
                        judged[out.stem] = f1_of(out, args.folder, args.gold)
            finally:
                os.kill(server, signal.SIGTERM)
    show(results, judged)


def told_apart(before: resource.struct_rusage, rows: list[Measured], beside: float) -> None:
    """Print what the Prefect server that ran beforehand cost in all: it is counted in no row."""
    spent = spent_since(before) - sum(row.cpu for row in rows) - beside
    print(f"the Prefect server that ran beforehand: {spent:.1f} s of CPU from its start to its end")


def spent_since(before: resource.struct_rusage) -> float:
    """Return the CPU seconds of processes that have ended since."""
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def told(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {spent:.1f} s" for name, spent in seconds.items())


def show(results: list[tuple[str, Measured, int]], judged: dict[str, tuple[float, int]]) -> None:
    """Print the best round of each contestant."""
    best: dict[str, tuple[Measured, int]] = {}
    for label, row, kept in results:
        if label not in best or row.cpu / max(kept, 1) < best[label][0].cpu / max(best[label][1], 1):
            best[label] = (row, kept)
    print(f"{'contestant':32} {'pages':>6} {'CPU s':>7} {'ms a page':>10} {'wall s':>8} {'first s':>8} {'peak MB':>8}")
    for label, (row, kept) in best.items():
        print(
            f"{label:32} {kept:6} {row.cpu:7.1f} {1000 * row.cpu / max(kept, 1):10.2f} {row.wall:8.1f}"
            f" {row.first_page_s:8.2f} {row.peak_mb:8.0f}",
            "" if row.code == 0 else f"exit {row.code}",
        )
        if label.startswith("ours"):
            print(" " * 4 + told(row.roles))
            if row.threads:
                print(" " * 4 + "of the command: " + told(row.threads))
            if row.elsewhere is not None:
                print(" " * 4 + f"the API elsewhere, in no row: {row.elsewhere:.1f} s")
    for label, (score, pages) in judged.items():
        print(f"F1 of the text, {label}: {score:.3f} ({pages} pages)")


if __name__ == "__main__":
    main()
