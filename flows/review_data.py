"""Flow: what a person should look at goes to review-data."""

from typing import Any

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from connectors.settings import StateSettings
from flows.opening import persona_of
from flows.reports import findings_report


@flow(
    name="review-data",
    flow_run_name="review data",
    description="Find thin, duplicate, oddly encoded or otherwise suspicious pages, and submit them for review.",
)
async def review_data(source: str = "", credentials: str = "") -> State[Any]:
    """Submit findings for review.

    Args:
        source: Name of the source, as `persona-ingest status` shows it. Empty: every source.
        credentials: Name of a block of type Persona credentials. Empty: the worker's environment.
    """
    from connectors.pipeline import again

    found = await again.submit_findings(source, persona=await persona_of(credentials), state=StateSettings())
    await acreate_markdown_artifact(markdown=findings_report(found), key="review", description="Submitted for review")
    return Completed(message=f"{len(found)} findings were submitted for review.")
