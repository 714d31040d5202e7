"""The embedded knowledge base, for the tests of this room."""

import pytest

from connectors.persona.server import embedded


@pytest.fixture
async def kb(tmp_path):
    async with embedded(tmp_path / "state") as client:
        yield client
