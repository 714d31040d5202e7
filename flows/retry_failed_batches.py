"""Flow: what failed, or whose outcome is unknown, is sent again, after finding out what arrived."""

from typing import Any

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from connectors.settings import StateSettings
from flows.opening import persona_of
from flows.reports import set_aside, settled_report


@flow(
    name="retry-failed-batches",
    flow_run_name="retry failed batches",
    description="Find out what arrived, then send again what did not. Nothing is due: nothing is sent.",
)
async def retry_failed_batches(failed_run: str = "", quarantined: str = "", credentials: str = "") -> State[Any]:
    """Send again every batch that failed or whose outcome is unknown.

    Args:
        failed_run: The flow run whose failure asked for this; only shown in the log.
        quarantined: A page's URL, or all: taken out of quarantine and sent again. Empty: they stay aside.
        credentials: Name of a block of type Persona credentials. Empty: the worker's environment.
    """
    from connectors.pipeline import operate

    logger = get_run_logger()
    if failed_run:
        logger.info("Asked for by flow run %s", failed_run)
    settled = await operate.retry(persona=await persona_of(credentials), state=StateSettings(), quarantined=quarantined)
    answer = settled.summary()
    logger.info("%s pages delivered, %s batches still failing", answer["delivered"], answer["failing"])
    if not answer["sources"]:
        return Completed(message=f"Nothing was due.{set_aside(answer['quarantined'])}")
    await acreate_markdown_artifact(markdown=settled_report(answer), key="retry", description="What was settled")
    words = f"{answer['delivered']} pages delivered over {len(answer['sources'])} sources."
    if answer["ok"]:
        return Completed(message=words)
    problems = "".join(f" {problem}" for problem in answer["problems"])
    return Failed(message=f"{words} Not everything is there yet.{problems}{set_aside(answer['quarantined'])}")
