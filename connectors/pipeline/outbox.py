"""How much text may wait between the crawl and the knowledge base: the crawl waits while it is too much."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from connectors.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.ledger import Run
    from connectors.pipeline.deliver import Delivery

OUTBOX_BYTES: Final = 2 * 1024**3
"""The most text that waits to be sent while the knowledge base is away; then the crawl waits."""
_LOOKS: Final = 16  # how often the outbox is measured while it fills once


class Outbox:
    """The text of one run that waits to be sent.

    The crawl asks for room before it takes an item; who hands out batches and gets them back says so.

    Args:
        hurry: lets batches be cut now, also from what fills none.

    Attributes:
        most: bytes.
        crowded: the crawl waits: a batch need not be full.
        waits: how often the crawl had to wait.
    """

    def __init__(self, run: Run, delivery: Delivery, *, hurry: Callable[[], None]) -> None:
        self.run = run
        self.delivery = delivery
        self.most = OUTBOX_BYTES
        self.crowded = False
        self.waits = 0
        self._hurry = hurry
        self._unmeasured = OUTBOX_BYTES  # the first item measures: an earlier run may have left much
        self._under_way = 0
        self._idle = False
        self._stopped = False
        self._moved = asyncio.Event()

    async def room(self, size: int) -> None:
        """Wait while it is full; the crawl goes on when delivery has made room.

        Raises:
            FatalError: no room will come of it in this run.
        """
        self._unmeasured += size
        if self._unmeasured < self.most // _LOOKS:
            return
        taken_up_at = self.most * _LOOKS
        while not self._stopped and (waiting := await self.delivery.waiting_bytes(self.run)) >= self.most:
            if await self.delivery.gave_up() or (self._idle and waiting >= taken_up_at):
                raise FatalError(_full(waiting))
            if self._idle:  # what is left was given up: once more, as long as that makes it less
                taken_up_at = waiting
                self.delivery.take_up_again()
            self.waits += not self.crowded
            self.crowded, self._idle = True, False
            self._moved.clear()
            self._hurry()
            await self._moved.wait()
        self.crowded = False
        self._unmeasured = 0

    def handed_out(self, batches: int) -> None:
        """So many batches were cut just now, and are under way."""
        self._under_way += batches
        if self.crowded and not self._under_way:
            self._idle = True
            self._moved.set()

    def came_back(self) -> None:
        """One batch was delivered, or given up."""
        self._under_way -= 1
        self._moved.set()

    def stop(self) -> None:
        """Let nobody begin to wait."""
        self._stopped = True


def _full(waiting: int) -> str:
    size = f"{waiting / 1024**3:.1f} GiB" if waiting >= 1024**3 else f"{waiting / 1024:.0f} KiB"
    return (
        f"{size} of text wait to be sent and the knowledge base takes none of it, so the crawl stopped here. Nothing "
        "is lost: when the knowledge base is back, run the same command again; it goes on where this one stopped."
    )
