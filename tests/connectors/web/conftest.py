"""Servers on loopback, and fetchers that may ask them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from loopback import Site

from connectors.web.fetcher import Fetcher, Limits

UA = "persona-ingest/0 (+https://example.com/contact)"


@pytest.fixture
async def site():
    made = await Site().start()
    yield made
    await made.stop()


@pytest.fixture
async def stranger():
    """A second server that the operator did not name."""
    made = await Site().start()
    yield made
    await made.stop()


@pytest.fixture
async def make_fetcher():
    made: list[Fetcher] = []

    def make(*allowed: str, limits: Limits | None = None, **options) -> Fetcher:
        options.setdefault("user_agent", UA)
        fetcher = Fetcher(allowed=allowed, limits=limits or Limits(backoff_s=0.01), **options)
        made.append(fetcher)
        return fetcher

    yield make
    for fetcher in made:
        await fetcher.aclose()
