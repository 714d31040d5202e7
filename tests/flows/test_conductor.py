from __future__ import annotations

import asyncio

import pytest

from connectors.errors import FatalError, RetryableError, UsageError
from flows.conductor import Conductor


async def test_without_a_follower_every_stage_is_carried_out_once_and_in_order(small_run):
    run = small_run()
    summary = await Conductor(run).start()
    assert run.told == [
        "collect",
        "deliver 1",
        "deliver 2",
        "deliver 3",
        "change",
        "verify",
        "prompts",
        "review",
        "finish",
        "close",
    ]
    assert summary["state"] == "completed"


async def test_a_follower_that_comes_late_sees_every_step_and_repeats_none(small_run):
    run = small_run(slow={"verify": 0.3})
    conductor = Conductor(run)
    work = conductor.start()
    await asyncio.sleep(0.1)
    names = []
    async for step in conductor.follow():
        names.append(step.name)
        await step.outcome()
    await work
    assert names == [
        "crawl example.org",
        "deliver batch 1 (50 pages)",
        "deliver batch 2 (50 pages)",
        "deliver batch 3 (50 pages)",
        "update and remove",
        "verify",
        "prompts",
        "review",
    ]
    assert len(run.told) == len(set(run.told))


async def test_steps_wait_for_the_follower_that_is_there_from_the_start(small_run):
    run = small_run()
    conductor = Conductor(run)
    following = conductor.follow()
    first = asyncio.create_task(anext(following))
    await asyncio.sleep(0)
    conductor.start()
    step = await first
    await asyncio.sleep(0.05)
    assert run.told == []
    await step.outcome()
    assert run.told == ["collect"]
    await following.aclose()
    await conductor.start()
    assert run.told[-1] == "close"


async def test_a_follower_that_goes_away_leaves_no_step_undone(small_run):
    run = small_run(batch_count=6)
    conductor = Conductor(run)
    following = conductor.follow()
    step = asyncio.create_task(anext(following))
    conductor.start()
    await step
    await following.aclose()
    await asyncio.wait_for(conductor.start(), 60)
    assert "finish" in run.told


async def test_a_failed_batch_leaves_the_other_batches_alone(small_run):
    run = small_run(errors={"deliver 2": RetryableError("the API did not answer")})
    conductor = Conductor(run)
    summary = await conductor.start()
    assert {"deliver 1", "deliver 3", "verify"} <= set(run.told)
    assert summary["problems"] == ["deliver batch 2 (50 pages): the API did not answer"]


async def test_a_source_that_cannot_be_read_is_one_sentence_in_the_summary(small_run):
    run = small_run(batch_count=0, errors={"collect": UsageError("nope.example does not resolve.")})
    summary = await Conductor(run).start()
    assert summary["state"] == "failed"
    assert summary["problems"] == ["nope.example does not resolve."]


async def test_an_api_that_refuses_us_stops_the_run(small_run):
    run = small_run(errors={"deliver 1": FatalError("the secret is wrong")})
    summary = await Conductor(run).start()
    assert summary["state"] == "stopped"
    assert "verify" not in run.told


@pytest.mark.parametrize("stage", ["collect", "verify"])
async def test_stop_ends_at_a_safe_point_and_closes_the_run(small_run, stage):
    run = small_run(slow={stage: 60})
    conductor = Conductor(run)
    work = conductor.start()
    await asyncio.sleep(0.05)
    await asyncio.wait_for(conductor.stop(within_s=3), 40)
    assert work.done()
    assert run.told[-1] == "close"


@pytest.mark.parametrize("stage", ["collect", "deliver 2", "change", "verify", "prompts", "review"])
async def test_a_bug_in_a_stage_fails_the_run_and_the_rest_is_done(small_run, stage):
    run = small_run(errors={stage: KeyError("a bug")})
    summary = await Conductor(run).start()
    assert summary["state"] == "failed"
    assert any("Unexpected KeyError" in problem for problem in summary["problems"])
    assert run.told[-2:] == ["finish", "close"]


async def test_a_bug_in_the_last_stage_is_told_too(small_run):
    summary = await Conductor(small_run(errors={"finish": KeyError("a bug")})).start()
    assert (summary["name"], summary["state"]) == ("example.org", "failed")
    assert "Unexpected KeyError" in summary["problems"][0]
