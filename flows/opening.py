"""How a flow that a worker started opens its own run: settings from the block or the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.settings import PersonaSettings, StateSettings
from flows.conductor import Conductor

if TYPE_CHECKING:
    from connectors.pipeline.run import Purpose
    from connectors.settings import AnySource


async def opened(source: AnySource, *, purpose: Purpose = "import") -> Conductor:
    """Open a run for a flow that has none yet.

    Raises:
        UsageError: an option cannot work.
        FatalError: the state cannot be written.
    """
    from connectors.pipeline.run import open_run
    from flows.options import check

    check(source)
    return Conductor(await open_run(source, persona=PersonaSettings(), state=StateSettings(), purpose=purpose))
