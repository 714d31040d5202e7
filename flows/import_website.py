"""Flow: a website becomes a knowledge base."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from connectors.settings import WebsiteSource
from flows import stages
from flows.opening import opened


def _run_name() -> str:
    source = flow_run.parameters.get("source") or {}
    address = source.get("website", "") if isinstance(source, dict) else source.website
    return f"import {address.split('://')[-1].rstrip('/')}"


@flow(name="import-website", flow_run_name=_run_name, retries=0, persist_result=False, validate_parameters=True)
async def import_website(source: WebsiteSource) -> State[Any]:
    """Crawl a website, clean its pages, deliver and verify them, ask for prompts and submit findings."""
    conductor = stages.adopted() or await opened(source)
    return stages.verdict(await stages.follow(conductor))
