"""Flow: a website becomes a knowledge base."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows import stages
from flows.forms import Website
from flows.opening import address_of, opened


@flow(
    name="import-website",
    flow_run_name=lambda: f"import {address_of('website')}",
    description="Crawl a website, clean its pages, deliver and verify them, ask for prompts and submit findings.",
)
async def import_website(
    source: Website,
    credentials: str = "",
) -> State[Any]:
    """Import one website.

    Args:
        source: The start address, and how it is read.
        credentials: Name of a block of type Persona credentials. Empty: the client secret of the worker's environment;
            without one the embedded knowledge base takes the pages.
    """
    conductor = stages.adopted() or await opened(source, credentials=credentials)
    return stages.verdict(await stages.story(conductor))
