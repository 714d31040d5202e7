"""Flow: what people ask in vain, and whether a source has a page about it."""

from typing import Any

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from connectors.settings import StateSettings
from flows.opening import persona_of
from flows.reports import gaps_report


@flow(
    name="find-content-gaps",
    flow_run_name="content gaps",
    description="Read the chats, group questions without a good answer, and say where the sources stand on each.",
)
async def find_content_gaps(submit: bool = True, credentials: str = "") -> State[Any]:  # noqa: FBT001, FBT002 - a form
    """Find content gaps.

    Args:
        submit: Offer the topics to auto-generate-prompts and the gaps to review-data; each only once.
        credentials: Name of a block of type Persona credentials. Empty: the worker's environment.
    """
    from connectors.pipeline import gaps

    found = await gaps.find_content_gaps(persona=await persona_of(credentials), state=StateSettings(), submit=submit)
    await acreate_markdown_artifact(markdown=gaps_report(found), key="content-gaps", description="Content gaps")
    return Completed(message=f"{len(found.gaps)} gaps in {found.questions} questions of {found.chats} chats.")
