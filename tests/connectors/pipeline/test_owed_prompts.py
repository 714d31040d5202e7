"""Prompts that the API did not make when a run asked for them: the pages are safe, and they are asked for again."""

import asyncio
import socket
from dataclasses import dataclass, field

import pytest
import uvicorn

from connectors.persona.server import create_app
from connectors.pipeline import operate
from connectors.pipeline.run import open_run
from connectors.settings import PersonaSettings, WebsiteSource
from flows.conductor import Conductor

BODY = "This page tells visitors, in enough words to be a page of its own, what they came here to learn about "


@dataclass
class Api:
    """The embedded Persona API on a port, whose prompts can be out of order."""

    app: object
    status: int = 200
    asked: list[str] = field(default_factory=list)
    base: str = ""

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or not scope["path"].endswith("auto-generate-prompts"):
            return await self.app(scope, receive, send)
        self.asked.append(scope["path"])
        if self.status == 200:
            return await self.app(scope, receive, send)
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return None


@pytest.fixture
async def api(tmp_path, monkeypatch):
    made = Api(create_app(tmp_path / "far", secret=None))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        made.base = f"http://127.0.0.1:{listener.getsockname()[1]}/persona/"
        server = uvicorn.Server(uvicorn.Config(made, log_level="error", lifespan="off", timeout_graceful_shutdown=2))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        monkeypatch.setenv("PERSONA_BASE_URL", made.base)
        monkeypatch.setenv("PERSONA_CLIENT_SECRET", "a-secret")
        yield made
        server.should_exit = True
        await serving


async def night(site, persona, state):
    source = WebsiteSource(website=site.base, name="s", delay=0, review=False)
    return await Conductor(await open_run(source, persona=persona, state=state, purpose="sync")).start()


@pytest.fixture
async def after_failing(site, api, state):
    """A night whose prompts failed."""
    persona = PersonaSettings()
    site.article("/", "Home", BODY + "everything.", {"/a": "a"})
    site.article("/a", "About a", BODY + "a.")
    api.status = 503
    summary = await night(site, persona, state)
    api.status = 200
    api.asked.clear()
    return persona, summary


async def test_the_failure_is_told_with_what_asks_again_and_the_pages_are_there(after_failing):
    _, summary = after_failing
    assert (summary["state"], summary["verified"], summary["prompts"]) == ("failed", 2, 0)
    assert any("persona-ingest retry" in problem and "prompts" in problem for problem in summary["problems"])


async def test_the_next_night_asks_for_them_once_although_it_brings_nothing(after_failing, site, api, state):
    persona, _ = after_failing
    summary = await night(site, persona, state)
    assert (summary["state"], summary["pages"]["new"], len(api.asked)) == ("completed", 0, 1)
    assert summary["prompts"] > 0
    assert (await night(site, persona, state))["prompts"] == 0
    assert len(api.asked) == 1


async def test_a_retry_asks_for_them_once_and_says_so(after_failing, api, state):
    persona, _ = after_failing
    settled = await operate.retry(persona=persona, state=state)
    assert settled.ok
    assert settled.summary()["prompts"] > 0
    assert not (await operate.retry(persona=persona, state=state)).sources, "nothing is due any more"
    assert len(api.asked) == 1


async def test_a_retry_that_gets_none_either_is_not_well_and_the_next_one_asks_again(after_failing, api, state):
    persona, _ = after_failing
    api.status = 503
    settled = await operate.retry(persona=persona, state=state)
    assert not settled.ok
    assert settled.problems[0].startswith("s: prompts: ")
    api.status = 200
    assert (await operate.retry(persona=persona, state=state)).prompts > 0


async def test_an_api_that_refuses_what_is_owed_is_asked_no_more(after_failing, api, state):
    persona, _ = after_failing
    api.status = 400
    assert (await operate.retry(persona=persona, state=state)).prompts == 0
    assert not (await operate.retry(persona=persona, state=state)).sources
