"""The far end of cleaning elsewhere: a chunk of resources, cleaned on the machine that was given it.

A cluster's worker calls `clean_chunk` like any function. What strangers wrote is parsed in confined processes of that
machine, as at home (`connectors.extractors.pool`), one for each chunk in work; they stay warm for the next one.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from connectors.errors import FatalError
from connectors.extractors import tidy, wire
from connectors.extractors.pool import CleanerPool
from connectors.models import CleaningRules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.models import Resource

Frame = tuple[bytes, bytes]
"""What `wire.request` makes: a head with its lengths, and a body."""


def own_version() -> str:
    """Return what two machines must share, so that a page is cleaned alike on both."""
    return tidy.config_fingerprint(CleaningRules())


def clean_chunk(frames: Sequence[Frame], version: str) -> list[bytes]:
    """Return the answer to each frame, in order, as `wire.answer` makes it.

    Args:
        frames: what to clean.
        version: `own_version` of whoever asks.

    Raises:
        FatalError: this machine cleans otherwise than whoever asks, or no cleaning process starts on it.
    """
    if version != own_version():
        raise FatalError("A cleaning machine has another version of persona-ingest: install the same one everywhere.")
    bench = _bench()
    return asyncio.run_coroutine_threadsafe(bench.cleaned(frames), bench.loop).result()


@dataclass(slots=True, kw_only=True)
class _Bench:
    """The event loop of this process' cleaners, on a thread of its own, and the cleaners that are free."""

    loop: asyncio.AbstractEventLoop
    free: list[CleanerPool] = field(default_factory=list)

    async def cleaned(self, frames: Sequence[Frame]) -> list[bytes]:
        pool = self.free.pop() if self.free else CleanerPool(1)
        try:
            outs = await asyncio.gather(*(pool.clean(*_read(frame)) for frame in frames))
        except BaseException:
            await pool.close()
            raise
        self.free.append(pool)
        return [wire.answer(out) for out in outs]


def _read(frame: Frame) -> tuple[Resource, CleaningRules]:
    head, body = frame
    return wire.read_request(head[wire.LENGTHS.size :], body)


@cache
def _bench() -> _Bench:
    # A child ends with the thread that started it (`confine.die_with`), so all are started by one that stays.
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="cleaners", daemon=True).start()
    return _Bench(loop=loop)
