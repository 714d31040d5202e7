"""A ledger on each database."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from connectors.ledger import open_ledger

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from databases import ledger_url, postgres  # noqa: F401 - fixtures


@pytest.fixture
async def ledger(ledger_url):  # noqa: F811 - pytest's way
    async with open_ledger(ledger_url) as opened:
        yield opened


@pytest.fixture
def begin(ledger):
    """Begin a run of one source; what is not said has a default."""

    async def _begin(opened=None, **options):
        defaults = {
            "source": "docs",
            "kind": "website",
            "origin": "https://docs.example/",
            "destination": "https://persona.example/",
            "options": {},
            "purpose": "import",
        }
        return await (opened or ledger).begin(**(defaults | options))

    return _begin
