"""How a flow that a worker started opens its own run: settings from the block or the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from connectors.settings import PersonaSettings, StateSettings
from flows import told
from flows.conductor import Conductor

if TYPE_CHECKING:
    from connectors.pipeline.ingest_run import Purpose
    from connectors.settings import AnySource


async def persona_of(credentials: str) -> PersonaSettings:
    """Return who we are to the API: from the named block, else from the environment; says so when there is neither.

    Raises:
        UsageError: there is no block of that name.
    """
    if credentials:
        from flows.credentials import PersonaCredentials

        return (await PersonaCredentials.named(credentials)).settings()
    persona = PersonaSettings()
    if persona.client_secret is None:
        get_run_logger().info("No client secret is set: the embedded knowledge base of this worker takes the pages")
    return persona


async def opened(source: AnySource, *, credentials: str = "", purpose: Purpose = "import") -> Conductor:
    """Open a run for a flow that has none yet.

    Raises:
        UsageError: an option cannot work.
        FatalError: the state cannot be written.
    """
    from connectors.pipeline.run import open_run
    from flows import cleaners
    from flows.options import check

    check(source)
    persona = await persona_of(credentials)
    state = StateSettings()
    run = await open_run(
        source, persona=persona, state=state, purpose=purpose, cleaners=cleaners.chosen(state.cleaners)
    )
    return Conductor(run)


def address_of(field: str) -> str:
    """Return the address in the flow run's ``source`` parameter, for the run's name: no scheme, no password."""
    return told.shown_address(flow_run.get_parameters().get("source"), field)
