"""Who holds a source, and whether that process still lives; decisions here, SQL elsewhere."""

from __future__ import annotations

import os
import secrets
import socket
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BEAT_S = 5.0
STALE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that works on a source.

    Attributes:
        token: names this one holding of the lease.
        host: the host and its pid namespace: only within it does ``pid`` mean anything.
        boot: changes when the host restarts; empty where the system does not say.
        born: when the process started, in clock ticks since boot, so that a reused pid is not taken for it; 0 unknown.
        beat: the last sign of life by the wall clock, in ms.
        tick: the same by the clock that counts since boot and nobody can set, in ms.
    """

    token: str
    host: str
    boot: str
    pid: int
    born: int
    beat: int
    tick: int


def myself(*, now_ms: int) -> Holder:
    """Return this process as a holder with a fresh token."""
    pid = os.getpid()
    return Holder(
        token=secrets.token_hex(8),
        host=this_host(),
        boot=this_boot(),
        pid=pid,
        born=birth_of(pid),
        beat=now_ms,
        tick=tick_ms(),
    )


def is_dead(holder: Holder, *, now_ms: int, stale_s: float = STALE_S) -> bool:
    """Say whether a holder's lease may be taken over.

    At once when its host restarted or its process is gone, which can only be seen from the same host;
    otherwise when it has given no sign of life for ``stale_s``.
    """
    same_host = holder.host == this_host()
    if same_host and holder.boot != this_boot():
        return True
    if same_host and birth_of(holder.pid) != holder.born:
        return True
    same_clock = holder.boot == this_boot() and holder.boot != ""
    silent_ms = tick_ms() - holder.tick if same_clock else now_ms - holder.beat
    return silent_ms > stale_s * 1000


def tick_ms() -> int:
    """Return milliseconds since boot, suspended time included where the system can tell; never set back."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1_000_000


def birth_of(pid: int) -> int:
    """Return when a process started, in ticks since boot; 0 when it runs and nobody says, -1 when it does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return 0 if not Path("/proc/self/stat").exists() and _answers(pid) else -1
    fields = stat.rpartition(")")[2].split()
    return -1 if fields[0] == "Z" else int(fields[19])


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@cache
def this_boot() -> str:
    """Return what identifies this start of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


@cache
def this_host() -> str:
    """Return the host's name and the pid namespace: containers of one host do not see each other's processes."""
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {namespace}".strip()
