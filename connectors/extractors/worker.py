"""A cleaning process: reads requests on its standard input (a socket), answers with pages, and may do little else.

Started by `connectors.extractors.pool` as ``python -m connectors.extractors.worker PARENT MEMORY WALL``, so that
nothing of the parent's program is imported again. What it parses was written by strangers: it has no secrets in its
environment, bounds on memory, CPU and files, and ends with its parent.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from connectors.extractors import later

later.put_off("inspect", "ipaddress", "traceback")  # a process that lives for one small site is mostly its start

from connectors.extractors import confine, wire, work  # noqa: E402 - what they import is put off by then
from connectors.memory import LARGE, collect_rarely, give_back  # noqa: E402
from connectors.models import Extracted  # noqa: E402

if TYPE_CHECKING:
    from io import BufferedReader, FileIO

READY = wire.LENGTHS.pack(0, 0)
LOOK = 16
ITEMS = 5_000  # after so many a process makes room for a new one: what libraries leak stays bounded


def main(parent: int, max_memory: int, wall_s: float) -> None:
    """Answer requests until the parent closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    confine.die_with(parent)
    # Read and written as a file: the library for sockets is as dear to load as two pages are to clean.
    with open(os.dup(0), "rb") as incoming, open(os.dup(0), "wb", buffering=0) as outgoing:  # noqa: PTH123 - no path
        work.preload()
        confine.confine(max_memory)
        collect_rarely()
        _send(outgoing, READY)
        served = 0
        while (asked := _next(incoming)) is not None:
            confine.allow_cpu(wire.allowed_s(len(asked[1]), wall_s))
            served += 1
            frame = _served(asked, served, max_memory)
            _send(outgoing, frame)
            large = max(len(frame), len(asked[1])) > LARGE
            del asked, frame
            if large:
                give_back()  # the parent has the answer, and nobody waits for this


def _send(outgoing: FileIO, frame: bytes) -> None:
    left = memoryview(frame)
    while left:
        left = left[outgoing.write(left) :]


def _served(asked: tuple[bytes, bytes], served: int, max_memory: int) -> bytes:
    """Return the answer's frame; what the page was made of is let go with this call."""
    extracted = work.drafted(*wire.read_request(*asked))
    large = len(asked[1]) > LARGE
    return _answer(extracted, retiring=_worn(extracted, served, max_memory, large=large))


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


def _worn(extracted: Extracted, served: int, max_memory: int, *, large: bool) -> bool:
    """Say whether the process should be replaced: it ran out of memory, has grown, or is old."""
    if extracted.problem == "killed-memory" or served >= ITEMS:
        return True
    # To look costs as much as a twentieth of a page: after what may have grown it, and now and then.
    return (large or served % LOOK == 0) and confine.resident() > max_memory // 2


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
