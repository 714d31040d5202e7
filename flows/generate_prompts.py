"""Flow: questions that the knowledge base can answer now, from auto-generate-prompts."""

from typing import Any

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from connectors.settings import StateSettings
from flows.opening import persona_of
from flows.reports import prompts_report


@flow(
    name="generate-prompts",
    flow_run_name="generate prompts",
    description="Ask auto-generate-prompts about everything a source has, and show the answer.",
)
async def generate_prompts(source: str = "", credentials: str = "") -> State[Any]:
    """Ask for prompts.

    Args:
        source: Name of the source, as `persona-ingest status` shows it. Empty: every source.
        credentials: Name of a block of type Persona credentials. Empty: the worker's environment.
    """
    from connectors.pipeline import again

    prompts = await again.ask_for_prompts(source, persona=await persona_of(credentials), state=StateSettings())
    await acreate_markdown_artifact(markdown=prompts_report(prompts), key="prompts", description="Generated prompts")
    return Completed(message=f"{len(prompts)} prompts were made.")
