"""Flow: a folder or bucket of documents becomes a knowledge base."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows import stages
from flows.forms import Documents
from flows.opening import address_of, opened


@flow(
    name="import-documents",
    flow_run_name=lambda: f"import {address_of('documents')}",
    description="Read documents, clean them, deliver and verify them, ask for prompts and submit findings.",
)
async def import_documents(
    source: Documents,
    credentials: str = "",
) -> State[Any]:
    """Import a file, a folder or a bucket.

    Args:
        source: Where the documents are, and how they are read.
        credentials: Name of a block of type Persona credentials. Empty: the client secret of the worker's environment;
            without one the embedded knowledge base takes the pages.
    """
    conductor = stages.adopted() or await opened(source, credentials=credentials)
    return stages.verdict(await stages.story(conductor))
