"""A cleaning process: reads requests on its standard input (a socket), answers with pages, and may do little else.

Started by `connectors.extractors.pool` as ``python -m connectors.extractors.worker PARENT MEMORY WALL``, so that
nothing of the parent's program is imported again. What it parses was written by strangers: it has no secrets in its
environment, bounds on memory, CPU and files, and ends with its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource as limits
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.extractors import wire, work
from connectors.models import Extracted

if TYPE_CHECKING:
    from io import BufferedReader

READY = wire.LENGTHS.pack(0, 0)
ITEMS = 5_000  # after so many a process makes room for a new one: what libraries leak stays bounded
MAX_FILE = 1024**2
MAX_OPEN = 64
NICENESS = 5
_PR_SET_PDEATHSIG = 1


def main(parent: int, max_memory: int, wall_s: float) -> None:
    """Answer requests until the parent closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    _die_with(parent)
    os.nice(NICENESS)
    with socket.socket(fileno=os.dup(0)) as wire_end, wire_end.makefile("rb") as incoming:
        work.preload()
        _confine(max_memory)
        wire_end.sendall(READY)
        served = 0
        while (asked := _next(incoming)) is not None:
            _allow_cpu(wall_s)
            extracted = work.drafted(*wire.read_request(*asked))
            served += 1
            wire_end.sendall(_answer(extracted, retiring=_worn(extracted, served, max_memory)))


def _next(incoming: BufferedReader) -> tuple[bytes, bytes] | None:
    lengths = incoming.read(wire.LENGTHS.size)
    if len(lengths) < wire.LENGTHS.size:
        return None
    head, body = wire.LENGTHS.unpack(lengths)
    return incoming.read(head), incoming.read(body)


def _answer(extracted: Extracted, *, retiring: bool) -> bytes:
    try:
        return wire.answer(extracted, retiring=retiring)
    except MemoryError:
        out = Extracted(problem="killed-memory", detail="The cleaned text takes more memory than a cleaner may have.")
    except (ValueError, TypeError, RecursionError) as error:
        out = Extracted(problem="broken", detail=f"Its text cannot be passed on ({type(error).__name__}).")
    return wire.answer(out, retiring=True)


def _worn(extracted: Extracted, served: int, max_memory: int) -> bool:
    """Say whether the process should be replaced: it ran out of memory, has grown, or is old."""
    return extracted.problem == "killed-memory" or served >= ITEMS or _resident() > max_memory // 2


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked to die with it
        raise SystemExit(0)


def _confine(max_memory: int) -> None:
    """Bound what parsing may take, on top of what the loaded libraries have."""
    _limit(limits.RLIMIT_CORE, 0)
    _limit(limits.RLIMIT_FSIZE, MAX_FILE)
    _limit(limits.RLIMIT_NOFILE, MAX_OPEN)
    if sys.platform == "linux":
        _limit(limits.RLIMIT_AS, _statm(0) + max_memory)


def _limit(which: int, most: int) -> None:
    _, hard = limits.getrlimit(which)
    most = most if hard == limits.RLIM_INFINITY else min(most, hard)
    limits.setrlimit(which, (most, most))


def _allow_cpu(wall_s: float) -> None:
    """Give the next item its share of CPU: what endless code in C, which no signal handler interrupts, ends by."""
    used = limits.getrusage(limits.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + wall_s) + 2
    with contextlib.suppress(ValueError):  # a hard limit of the machine's own is lower, and holds
        limits.setrlimit(limits.RLIMIT_CPU, (soft, limits.getrlimit(limits.RLIMIT_CPU)[1]))


def _resident() -> int:
    if sys.platform == "linux":
        return _statm(1)
    return limits.getrusage(limits.RUSAGE_SELF).ru_maxrss


def _statm(column: int) -> int:
    return int(Path("/proc/self/statm").read_bytes().split()[column]) * limits.getpagesize()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
