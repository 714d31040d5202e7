"""Flow: a persona from a folder or file: voice, instance, videos; run again it repeats nothing."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed

from connectors.settings import StateSettings
from flows.opening import persona_of


@flow(
    name="create-persona",
    flow_run_name="create persona {file}",
    description="Create a persona from a YAML file beside its recordings and videos. What is there already is kept.",
)
async def create_persona(file: str, credentials: str = "") -> State[Any]:
    """Create a persona.

    Args:
        file: A YAML file on the worker's machine, or the folder that holds persona.yaml.
        credentials: Name of a block of type Persona credentials. Empty: the worker's environment.
    """
    from connectors.pipeline import personas

    logger = get_run_logger()
    made = await personas.create_persona(
        Path(file),
        persona=await persona_of(credentials),
        state=StateSettings(),
        progress=lambda step: logger.info("Next: %s", step),
    )
    for step in made.doubtful:
        logger.warning("%s was asked for before without an answer: it may exist twice", step)
    return Completed(
        message=f"Persona {made.instance_id}: {len(made.steps)} steps done, {len(made.kept)} were there already.",
        data={"instance_id": made.instance_id, "voice_id": made.voice_id, "video_ids": list(made.video_ids)},
    )
