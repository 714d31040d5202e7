"""What carries a run out without Prefect, stage by stage, as the flows do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from connectors.pipeline.ingest_run import IngestRun


async def carried_out(
    run: IngestRun, *, before_end: Callable[[IngestRun], Awaitable[None]] | None = None
) -> dict[str, Any]:
    """Do everything but prompts and review, close the run, and return its summary."""
    try:
        run.start()
        collecting = asyncio.create_task(run.collect())
        async for head in run.batches():
            await run.deliver(head.id)
        await collecting
        await run.change()
        await run.verify()
        if before_end:
            await before_end(run)
        return await run.finish()
    finally:
        await run.close()
