"""Learns how an API treats what it stores: a marked page is stored, watched until it appears, and deleted."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from connectors.errors import RefusedError, RetryableError
from connectors.extractors.tidy import normal
from connectors.models import Outgoing
from connectors.pipeline.matching import Reading, in_pieces, key_of
from connectors.pipeline.timing import since_boot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from connectors.ledger import Ledger
    from connectors.models import Item
    from connectors.persona.client import PersonaClient

_LINES: Final = 120
_PATIENCE_S: Final = 120.0
_ATTEMPTS: Final = 5
_LONGEST_PAUSE_S: Final = 5.0
_TOO_LARGE: Final = 413

Returned = Literal["equal", "pieces", "changed", "never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What a probe taught us.

    Attributes:
        returned: how the page's content came back; ``never``: it did not appear in time.
        visible_s: how long after the answer it was there, whole.
        items: how many items it became.
        largest_batch: the most pages that one call took; None when that was not asked.
        left_behind: ids of marked items that could not be deleted.
    """

    returned: Returned
    visible_s: float
    items: int
    largest_batch: int | None = None
    left_behind: tuple[str, ...] = ()


async def probe(
    ledger: Ledger,
    persona: PersonaClient,
    *,
    destination: str,
    batch: int = 0,
    patience_s: float = _PATIENCE_S,
    tick: Callable[[], float] = since_boot,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Probed:
    """Store a marked page, watch it, delete it, and keep what that showed for the settling time.

    Args:
        destination: under which the ledger keeps it.
        batch: also find out whether one call takes so many pages, and if not, how many (by halves); 0 does not.

    Raises:
        RefusedError, RetryableError, FatalError: the API does not take even one page.
    """
    mark = f"persona-ingest-probe-{secrets.token_hex(8)}"
    page = _page(mark, lines=_LINES)
    await persona.store_pages([page])
    began = tick()
    pause_s = 0.1
    while True:
        marked = await _marked(persona, mark)
        returned = how_returned(page.content, marked)
        waited = tick() - began
        if returned in {"equal", "pieces"} or waited > patience_s:
            break
        await sleep(pause_s)
        pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
    largest = await _largest_batch(persona, mark, batch, sleep) if batch else None
    left = await _clean_up(persona, mark, sleep)
    if returned != "never":
        await ledger.sending.keep_probe(destination, returned=returned, visible_s=waited, largest_batch=largest)
    return Probed(
        returned=returned, visible_s=waited, items=len(marked), largest_batch=largest, left_behind=tuple(left)
    )


def how_returned(content: str, items: list[Item]) -> Returned:
    """Say how a page came back, by the items that bear its mark."""
    text = normal(content)
    reading = Reading(wanted={key_of(text)})
    for item in items:
        reading.take(item)
    reading.close()
    if reading.copies:
        return "equal"
    if in_pieces(text, reading.loose) is not None:
        return "pieces"
    return "changed" if items else "never"


def _page(mark: str, *, lines: int) -> Outgoing:
    """Make a page whose every line bears the mark, so that each piece of it can be told and deleted."""
    rows = "\n\n".join(f"{mark}: line {number} of a page that is deleted in a moment." for number in range(lines))
    content = f"Source: https://{mark}.invalid/\n\n# {mark}\n\n{rows}"
    return Outgoing(version_id=0, uri=f"https://{mark}.invalid/", title=mark, content=content)


async def _marked(persona: PersonaClient, mark: str) -> list[Item]:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return [item async for item in persona.training_data() if mark in item.content]
        except RetryableError:
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


async def _largest_batch(
    persona: PersonaClient, mark: str, batch: int, sleep: Callable[[float], Awaitable[None]]
) -> int:
    while batch > 1:
        try:
            await persona.store_pages([_page(f"{mark}-{number}", lines=_LINES) for number in range(batch)])
        except RefusedError as error:
            if error.status != _TOO_LARGE:
                raise
        except RetryableError:
            await sleep(1.0)
        else:
            return batch
        batch //= 2
    return 1


async def _clean_up(persona: PersonaClient, mark: str, sleep: Callable[[float], Awaitable[None]]) -> list[str]:
    """Delete everything that bears the mark; what cannot be deleted is named."""
    left: list[str] = []
    for attempt in range(_ATTEMPTS):
        marked = await _marked(persona, mark)
        left = [item.id for item in marked]
        if not left:
            return []
        if attempt:
            await sleep(0.5 * attempt)
        for item in marked:
            try:
                await persona.delete_training_data(item.id)
            except (RefusedError, RetryableError):
                continue
    return [item.id for item in await _marked(persona, mark)] if left else []
