"""Pages a second and CPU a page, ours beside the peers, in one run on one machine.

    uv run python tests/benchmarks/speed/run.py SITE_FOLDER [--start index.html] [--pages N] [--peers scrapy,crawlee,crawl4ai]

SITE_FOLDER is served by nginx on loopback. Peers are installed into environments of their own (``--envs``), never
into ours. Each figure is of all processes of the contestant: CPU seconds a page, wall seconds, peak memory (sum of
proportional set sizes), pages kept. Absolute figures hold for the machine; ratios are what to compare.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
PEERS = {
    "scrapy": ("scrapy_trafilatura.py", ["scrapy", "trafilatura", "lxml_html_clean"]),
    "crawlee": ("crawlee_trafilatura.py", ["crawlee[parsel]", "trafilatura", "lxml_html_clean"]),
    "crawl4ai": ("crawl4ai_http.py", ["crawl4ai"]),
}


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
http {{ include /etc/nginx/mime.types; access_log off; client_body_temp_path {scratch}/body; keepalive_requests 100000;
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


class Memory(threading.Thread):
    """Samples the proportional set size of a process and all its descendants."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak_kb, self.over = pid, 0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.2):
            self.peak_kb = max(self.peak_kb, sum(self.pss(pid) for pid in self.family()))

    def family(self) -> list[int]:
        parents: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    parents.setdefault(int(fields[1]), []).append(int(entry.name))
                except OSError:
                    continue
        found, due = [], [self.pid]
        while due:
            pid = due.pop()
            found.append(pid)
            due += parents.get(pid, [])
        return found

    @staticmethod
    def pss(pid: int) -> int:
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    return int(line.split()[1])
        except OSError:
            pass
        return 0


def measured(command: list[str], env: dict[str, str] | None = None) -> dict[str, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    memory = Memory(process.pid)
    memory.start()
    out, err = process.communicate(timeout=3600)
    wall = time.perf_counter() - began
    memory.over.set()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        sys.stderr.write(err.decode(errors="replace")[-3000:])
    return {
        "code": process.returncode,
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "wall": wall,
        "peak_mb": memory.peak_kb / 1024,
        "out": out.decode(errors="replace"),
    }


def ours(start: str, pages: int, scratch: Path, *, again: bool) -> list[tuple[str, dict, int]]:
    state = scratch / "state"
    env = {k: v for k, v in os.environ.items() if not k.startswith("PERSONA_")} | {"PERSONA_INGEST_STATE": str(state)}
    command = [
        shutil.which("persona-ingest") or str(Path(sys.executable).with_name("persona-ingest")), "import", start, "--json",
        "--concurrency", "32", "--delay", "0", "--max-pages", str(pages),
    ]
    rows = []
    for label in ["persona-ingest", "persona-ingest, unchanged"][: 2 if again else 1]:
        row = measured(command, env)
        summary = json.loads(row["out"])["sources"][0]
        kept = summary["urls"]["fetched"] if label == "persona-ingest" else summary["urls"]["not_modified"]
        rows.append((label, row, kept))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--start", default="index.html")
    parser.add_argument("--pages", type=int, default=301)
    parser.add_argument("--peers", default="scrapy,crawlee,crawl4ai")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--envs", type=Path, default=Path(tempfile.gettempdir()) / "persona-ingest-peers")
    parser.add_argument("--again", action="store_true", help="also measure a second, unchanged run of ours")
    args = parser.parse_args()
    peers = [peer for peer in args.peers.split(",") if peer]
    pythons = {peer: environment(peer, args.envs) for peer in peers}
    results: list[tuple[str, dict, int]] = []
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder)
            base, server = serve(args.folder, scratch)
            try:
                for peer in peers:
                    out = scratch / f"{peer}.jsonl"
                    row = measured([str(pythons[peer]), str(HERE / "peers" / PEERS[peer][0]), base + args.start, str(args.pages), str(out)])
                    results.append((peer, row, len(out.read_text().splitlines())))
                results += ours(base + args.start, args.pages, scratch, again=args.again)
            finally:
                os.kill(server, signal.SIGTERM)
    best: dict[str, tuple[dict, int]] = {}
    for label, row, kept in results:
        if label not in best or row["cpu"] / max(kept, 1) < best[label][0]["cpu"] / max(best[label][1], 1):
            best[label] = (row, kept)
    print(f"{'contestant':28} {'pages':>6} {'CPU ms a page':>14} {'wall s':>8} {'peak MB':>8} {'exit':>5}")
    for label, (row, kept) in best.items():
        print(f"{label:28} {kept:6} {1000 * row['cpu'] / max(kept, 1):14.1f} {row['wall']:8.1f} {row['peak_mb']:8.0f} {row['code']:5}")


if __name__ == "__main__":
    main()
