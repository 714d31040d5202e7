"""Registers what a server needs for us: work pool, block type, deployments, and the automation on silent runs."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists

from connectors.errors import FatalError
from flows.credentials import PersonaCredentials

if TYPE_CHECKING:
    from pathlib import Path

POOL = "persona-ingest"
NIGHTLY_SYNC = "sync-knowledge-base/nightly-sync"


def register(project: Path) -> str:
    """Register everything, again as often as one likes; returns the UI's path to the nightly sync's editing page.

    Raises:
        FatalError: the deployments could not be registered, with Prefect's words.
    """
    asyncio.run(_pool_and_block())
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(project)]
    told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=project.parent)  # noqa: S603 - ours
    if told.returncode:
        raise FatalError(
            f"The deployments could not be registered: {' '.join((told.stdout + told.stderr).split())[-600:]}"
        )
    return asyncio.run(_automation_and_page(_automations(project.parent)))


def _automations(folder: Path) -> list[dict[str, Any]]:
    import yaml

    for file in (folder / "docs" / "deploy" / "automations.yaml", folder / "automations.yaml"):
        if file.is_file():
            return list(yaml.safe_load(file.read_text(encoding="utf-8"))["automations"])
    raise FatalError("automations.yaml is missing beside the package; install persona-ingest again.")


async def _pool_and_block() -> None:
    async with get_client() as client:
        with contextlib.suppress(ObjectAlreadyExists):
            await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        await PersonaCredentials.register_type_and_schema(client=client)


async def _automation_and_page(automations: list[dict[str, Any]]) -> str:
    async with get_client() as client:
        known = {automation.name for automation in await client.read_automations()}
        for wanted in automations:
            if wanted["name"] not in known:
                await Automation.model_validate(wanted).acreate()
        deployment = await client.read_deployment_by_name(NIGHTLY_SYNC)
    assert isinstance(deployment.id, UUID)
    return f"/v2/deployments/deployment/{deployment.id}/edit"
