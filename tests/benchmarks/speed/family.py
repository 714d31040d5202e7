"""A process and all its descendants while it runs: CPU by what each does, memory of all together."""

from __future__ import annotations

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


@dataclass(slots=True, kw_only=True)
class Measured:
    """What one contestant's processes cost; ``roles`` are CPU seconds, a tenth of a second less exact than ``cpu``."""

    code: int
    cpu: float
    wall: float
    peak_mb: float
    out: str
    roles: dict[str, float] = field(default_factory=dict)
    first_page_s: float = 0.0


class Family(threading.Thread):
    """Samples CPU seconds and proportional set sizes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak_kb, self.over = pid, 0, threading.Event()
        self._cpu: dict[int, float] = {}
        self._role: dict[int, str] = {}

    def run(self) -> None:
        while not self.over.wait(0.2):
            self.peak_kb = max(self.peak_kb, sum(pss(pid) for pid in self._look()))

    def roles(self) -> dict[str, float]:
        """Return CPU seconds by role."""
        seconds: Counter[str] = Counter()
        for pid, spent in self._cpu.items():
            seconds[self._role.get(pid, "other")] += spent
        return dict(seconds.most_common())

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
        return found


def role(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
    return next((name for part, name in ROLES.items() if part in command), "other" if command else "")


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
    )
