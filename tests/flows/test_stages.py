"""The flows on a real Prefect server; what is asked of its API is what a person sees in the UI."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from flows.conductor import Conductor

pytestmark = pytest.mark.usefixtures("prefect_api")

STEPS = 8  # of a small run: the crawl, three batches, update and remove, verify, prompts, review


async def followed(run, **changes):
    """Carry a run out under `import-website`; returns its state, flow run and task runs by name."""
    from flows import stages
    from flows.import_website import import_website

    conductor = Conductor(run)
    conductor.start()
    parameters = {"source": {"website": "http://127.0.0.1:1/docs/"} | changes}
    with stages.adopting(conductor, listening=True):
        state = await import_website(**parameters, return_state=True)
    return state, conductor


async def seen(api, run_id):
    """Return the flow run and its task runs; task runs are recorded from events, a moment later."""
    async with httpx.AsyncClient(base_url=api, trust_env=False) as client:
        flow_run = (await client.get(f"/flow_runs/{run_id}")).json()
        filters = {"flow_runs": {"id": {"any_": [str(run_id)]}}}
        until = time.monotonic() + 90
        while True:
            tasks = (await client.post("/task_runs/filter", json=filters)).json()
            if all(task["state_type"] in {"COMPLETED", "FAILED"} for task in tasks) and len(tasks) >= STEPS:
                break
            assert time.monotonic() < until, tasks
            await asyncio.sleep(0.2)
        return flow_run, {task["name"]: task["state_type"] for task in tasks}


async def test_a_run_reads_like_a_story(prefect_api, small_run):
    state, conductor = await followed(small_run(slow={"collect": 0.2}))
    assert state.is_completed()
    flow_run, tasks = await seen(prefect_api, state.state_details.flow_run_id)
    assert flow_run["name"] == "import 127.0.0.1:1/docs"
    assert {"example.org", "website"} <= set(flow_run["tags"])
    assert tasks == dict.fromkeys(
        [
            "crawl example.org",
            "deliver batch 1 (50 pages)",
            "deliver batch 2 (50 pages)",
            "deliver batch 3 (50 pages)",
            "update and remove",
            "verify",
            "prompts",
            "review",
        ],
        "COMPLETED",
    )
    assert len(conductor.run.told) == len(set(conductor.run.told))


async def test_a_failed_batch_fails_its_task_and_the_run_and_not_the_other_batches(prefect_api, small_run):
    state, _ = await followed(small_run(failing_batches=(2,)))
    assert state.is_failed()
    flow_run, tasks = await seen(prefect_api, state.state_details.flow_run_id)
    assert flow_run["state_type"] == "FAILED"
    assert tasks["deliver batch 2 (50 pages)"] == "FAILED"
    assert tasks["deliver batch 1 (50 pages)"] == tasks["deliver batch 3 (50 pages)"] == "COMPLETED"


async def test_the_report_stands_under_the_source_s_key(prefect_api, small_run):
    await followed(small_run(name="docs.example.org/a"))
    from flows.reports import key_of

    async with httpx.AsyncClient(base_url=prefect_api, trust_env=False) as client:
        artifact = (await client.get(f"/artifacts/{key_of('report', 'docs.example.org/a')}/latest")).json()
    assert artifact["type"] == "markdown"
    assert "What to do next" in artifact["data"]


async def test_the_shortest_run_has_its_progress_too(prefect_api, small_run):
    from flows.reports import key_of

    run = small_run(name="short.example.org", batch_count=1)
    run.progress.discovered = run.progress.read = run.progress.delivered = run.progress.verified = 50
    await followed(run)
    async with httpx.AsyncClient(base_url=prefect_api, trust_env=False) as client:
        artifact = (await client.get(f"/artifacts/{key_of('progress', 'short.example.org')}/latest")).json()
    assert artifact["type"] == "progress"
    assert "50 read" in artifact["description"]


async def test_a_stopped_run_is_cancelled_and_not_failed(small_run):
    from flows import stages
    from flows.import_website import import_website

    conductor = Conductor(small_run(slow={"collect": 60}))
    conductor.start()
    with stages.adopting(conductor, listening=True):
        flow = asyncio.create_task(import_website({"website": "http://127.0.0.1:1/"}, return_state=True))
        while "collect" not in conductor.run.told:
            await asyncio.sleep(0.05)
        await conductor.stop(within_s=5)
        state = await flow
    assert state.is_cancelled()


async def test_a_wrong_parameter_is_refused_with_a_sentence(small_run):
    state, _ = await followed(small_run(), **{"batch-size": 0})
    assert state.is_failed()
    assert "batch-size" in state.message


async def test_the_secret_of_the_block_is_masked_wherever_prefect_shows_it(prefect_api):
    from flows.credentials import PersonaCredentials

    block = PersonaCredentials(client_secret="s3cret-value", base_url="http://127.0.0.1:9/persona/")
    document = await block.save("tested", overwrite=True)
    async with httpx.AsyncClient(base_url=prefect_api, trust_env=False) as client:
        shown = (await client.get(f"/block_documents/{document}")).text
    assert "s3cret-value" not in shown + repr(block) + str(block.model_dump())
    loaded = await PersonaCredentials.named("tested")
    assert loaded.settings().client_secret.get_secret_value() == "s3cret-value"
    assert loaded.settings().base_url == "http://127.0.0.1:9/persona/"


async def test_a_block_that_is_not_there_is_one_sentence():
    from connectors.errors import UsageError
    from flows.credentials import PersonaCredentials

    with pytest.raises(UsageError, match="persona-credentials/nobody"):
        await PersonaCredentials.named("nobody")
