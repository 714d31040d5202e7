"""What the tests of the flows share: a run whose stages do almost nothing, and a real Prefect server."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.pipeline.progress import Progress
from connectors.settings import WebsiteSource


@dataclass(slots=True)
class SmallRun:
    """A run with the stages of a real one: so many batches, and what shall go wrong."""

    batch_count: int = 3
    failing_batches: tuple[int, ...] = ()
    errors: dict[str, Exception] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)
    purpose: str = "import"
    name: str = "example.org"
    kind: str = "website"
    id: str = "r1"
    where: str = "the embedded knowledge base"
    resumed: bool = False
    source: Any = field(default_factory=lambda: WebsiteSource(website="http://127.0.0.1:1/"))
    progress: Progress = field(default_factory=Progress)
    failure: Exception | None = None
    stopping: bool = False
    told: list[str] = field(default_factory=list)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def _stage(self, name: str) -> None:
        self.told.append(name)
        if name in self.slow:
            waiting = asyncio.create_task(self._stop.wait())
            await asyncio.wait({waiting}, timeout=self.slow[name])
            waiting.cancel()
        if name in self.errors:
            raise self.errors[name]

    def start(self) -> None: ...

    async def collect(self) -> None:
        await self._stage("collect")

    async def batches(self):
        for number in range(1, self.batch_count + 1):
            if self.stopping:
                return
            yield SimpleNamespace(id=number, number=number, pages=50, bytes=1000)

    async def deliver(self, batch_id: int):
        await self._stage(f"deliver {batch_id}")
        state = "failed" if batch_id in self.failing_batches else "delivered"
        return SimpleNamespace(state=state, pages=50, calls=1, detail="the API answered 500")

    async def change(self) -> None:
        await self._stage("change")

    async def verify(self):
        await self._stage("verify")
        pages = 50 * (self.batch_count - len(self.failing_batches))
        return SimpleNamespace(verified=pages, due=50 * self.batch_count)

    async def prompts(self) -> list[str]:
        await self._stage("prompts")
        return ["What is example.org?"]

    async def review(self) -> int:
        await self._stage("review")
        return 1

    def stop(self) -> None:
        self.stopping = True
        self._stop.set()

    async def finish(self) -> dict[str, Any]:
        await self._stage("finish")
        state = "stopped" if self.stopping else "failed" if self.failing_batches or self.failure else "completed"
        return {
            "name": self.name,
            "kind": self.kind,
            "run": self.id,
            "state": state,
            "pages": {"new": 150, "changed": 0, "unchanged": 0, "vanished": 0},
            "batches": {"delivered": 3, "failed": len(self.failing_batches), "pending": 0},
            "verified": 150,
        }

    async def close(self) -> None:
        self.told.append("close")


@pytest.fixture
def small_run():
    return SmallRun


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory):
    """One lean Prefect server for all tests that need one, as `import` starts it."""
    from flows.companion import Companion
    from flows.local_server import environment, folder_of, is_alive

    state = tmp_path_factory.mktemp("prefect")
    server = Companion(state, whole=True)
    server.start()
    try:
        until = time.monotonic() + 150
        while not is_alive(server.api_url) and time.monotonic() < until:
            time.sleep(0.2)
        assert is_alive(server.api_url), server.log_path.read_text()
        from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

        home = environment(folder_of(state), api_url=server.api_url)["PREFECT_HOME"]
        with temporary_settings({PREFECT_API_URL: server.api_url, PREFECT_HOME: home}):
            yield server.api_url
            from flows.follower import flush

            flush()
    finally:
        server.stop()
