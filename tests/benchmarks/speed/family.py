"""A process and all its descendants while it runs: CPU by what each does, memory of all together."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
ROLES = {
    "flows.companion_process": "prefect",
    "connectors.extractors.worker": "cleaners",
    "persona-ingest": "command",
}
"""By a part of the command line; the command's own process holds the embedded knowledge base too."""
THREADS = {"MainThread": "event loop", "ledger": "ledger", "asyncio_": "knowledge base and files"}
"""Of the command, by how the name begins that `named/sitecustomize.py` gives to them; the embedded knowledge base
works in the event loop's pool of threads."""


@dataclass(slots=True, kw_only=True)
class Measured:
    """What one contestant's processes cost; ``roles`` are CPU seconds, a tenth of a second less exact than ``cpu``.

    ``threads`` are those of the command where they have names, ``elsewhere`` what the API cost in a process of its own,
    which ``cpu`` does not hold. ``peaks`` are MB by role at the moment of the whole peak.
    """

    code: int
    cpu: float
    wall: float
    peak_mb: float
    out: str
    roles: dict[str, float] = field(default_factory=dict)
    threads: dict[str, float] = field(default_factory=dict)
    elsewhere: float | None = None
    peaks: dict[str, float] = field(default_factory=dict)
    first_page_s: float = 0.0


class Family(threading.Thread):
    """Samples CPU seconds and proportional set sizes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak_kb, self.over = pid, 0, threading.Event()
        self._at_peak: dict[int, int] = {}
        self._cpu: dict[int, float] = {}
        self._role: dict[int, str] = {}
        self._threads: dict[str, tuple[str, float]] = {}

    def run(self) -> None:
        while not self.over.wait(0.2):
            sizes = {pid: pss(pid) for pid in self._look()}
            if sum(sizes.values()) > self.peak_kb:
                self.peak_kb, self._at_peak = sum(sizes.values()), sizes

    def roles(self) -> dict[str, float]:
        """Return CPU seconds by role."""
        seconds: Counter[str] = Counter()
        for pid, spent in self._cpu.items():
            seconds[self._role.get(pid, "other")] += spent
        return dict(seconds.most_common())

    def peaks(self) -> dict[str, float]:
        """Return MB by role when all together held most."""
        held: Counter[str] = Counter()
        for pid, kb in self._at_peak.items():
            held[self._role.get(pid, "other")] += kb / 1024
        return dict(held.most_common())

    def threads(self) -> dict[str, float]:
        """Return CPU seconds of the command's threads by what they do; empty when they have no names."""
        seconds: Counter[str] = Counter()
        for name, spent in self._threads.values():
            seconds[next((does for begins, does in THREADS.items() if name.startswith(begins)), "other")] += spent
        return dict(seconds.most_common()) if "ledger" in seconds else {}

    def _look(self) -> list[int]:
        """Note what each process has spent, and return who lives."""
        children: dict[int, list[int]] = {}
        spent: dict[int, float] = {}
        for entry in os.listdir("/proc"):  # noqa: PTH208 - five times a second
            if entry.isdigit():
                try:
                    fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                children.setdefault(int(fields[1]), []).append(int(entry))
                spent[int(entry)] = (int(fields[11]) + int(fields[12])) / TICKS
        found, due = [], [self.pid]
        while due:
            pid = due.pop()
            found.append(pid)
            due += children.get(pid, [])
            self._cpu[pid] = spent.get(pid, self._cpu.get(pid, 0.0))
            self._role[pid] = role(pid) or self._role.get(pid, "other")
            if self._role[pid] == "command":
                self._threads |= threads(pid)
        return found


def role(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
    return next((name for part, name in ROLES.items() if part in command), "other" if command else "")


def threads(pid: int) -> dict[str, tuple[str, float]]:
    """Return the name and CPU seconds of each thread of a process."""
    found = {}
    for place in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            head, _, tail = place.read_text().rpartition(")")
            fields = tail.split()
            name = "MainThread" if place.parent.name == str(pid) else head.partition("(")[2]
            found[place.parent.name] = (name, (int(fields[11]) + int(fields[12])) / TICKS)
    return found


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process which lives has spent."""
    return sum(spent for _, spent in threads(pid).values())


def pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def measured(command: list[str], env: dict[str, str] | None = None) -> Measured:
    """Run a command to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    family = Family(process.pid)
    family.start()
    out, err = process.communicate(timeout=7200)
    wall = time.perf_counter() - began
    family.over.set()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        sys.stderr.write(err.decode(errors="replace")[-3000:])
    return Measured(
        code=process.returncode,
        cpu=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        wall=wall,
        peak_mb=family.peak_kb / 1024,
        out=out.decode(errors="replace"),
        roles=family.roles(),
        threads=family.threads(),
        peaks=family.peaks(),
    )
