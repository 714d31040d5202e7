from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import asdict

import pytest

from connectors.errors import FatalError
from flows import mirror
from flows.conductor import Conductor
from flows.mirror import Mirror


async def mirrored(run):
    """Carry a run out, and take its messages over the wire to a mirror; returns both ends, the work under way."""
    conductor = Conductor(run)
    there = Mirror(json.loads(json.dumps(mirror.about(conductor))))
    here = asyncio.create_task(mirror.retell(conductor, lambda message: there.hear(json.loads(json.dumps(message)))))
    return conductor, there, here


async def told(there):
    """Follow as a flow does: every step by name, whether it went well, and what was said of it."""
    asked = [(step.name, asyncio.create_task(step.told())) async for step in there.follow()]
    return {name: await telling for name, telling in asked}


async def test_a_mirror_tells_the_story_that_the_conductor_tells(small_run):
    conductor, there, here = await mirrored(small_run(failing_batches=(2,)))
    seen = await asyncio.wait_for(told(there), 60)
    assert list(seen) == [step.name for step in conductor.steps]
    assert seen == {step.name: await step.told() for step in conductor.steps}
    assert seen["deliver batch 2 (50 pages)"] == (False, "50 pages: failed after 1 call. the API answered 500")
    assert await there.start() == conductor.summary
    assert there.prompts == conductor.prompts
    assert json.dumps(asdict(there.facts)) == json.dumps(asdict(conductor.facts))
    assert (there.run.name, there.run.kind) == (conductor.run.name, conductor.run.kind)
    await here


async def test_who_listens_late_hears_everything(small_run):
    conductor, there, here = await mirrored(small_run())
    await here
    assert list(await asyncio.wait_for(told(there), 60)) == [step.name for step in conductor.steps]


async def test_the_run_waits_for_no_mirror(small_run):
    conductor, _, here = await mirrored(small_run())
    await asyncio.wait_for(here, 60)
    assert conductor.run.told[-1] == "close"


async def test_an_error_of_a_step_is_its_sentence(small_run):
    _, there, here = await mirrored(small_run(errors={"deliver 1": FatalError("the secret is wrong")}))
    assert (await told(there))["deliver batch 1 (50 pages)"] == (False, "the secret is wrong")
    assert (await there.start())["state"] == "stopped"
    await here


async def test_a_run_that_is_cut_off_leaves_no_step_open(small_run):
    conductor, there, here = await mirrored(small_run(slow={"collect": 60}))
    following = asyncio.create_task(told(there))
    while "collect" not in conductor.run.told:
        await asyncio.sleep(0.01)
    conductor.start().cancel()
    there.hear({"broken": mirror.NO_WORD})
    seen = await asyncio.wait_for(following, 60)
    assert seen["crawl example.org"] == (False, mirror.NO_WORD)
    with pytest.raises(RuntimeError, match="without a word"):
        await there.start()
    here.cancel()


async def test_what_is_logged_arrives_with_its_time_from_any_thread(small_run, caplog):
    run, sent = small_run(slow={"collect": 0.2}), []
    retelling = asyncio.create_task(mirror.retell(Conductor(run), sent.append))
    while "collect" not in run.told:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(logging.getLogger("connectors.tested").warning, "page %s is %s", 7, "odd")
    await retelling
    (said,) = caplog.records
    caplog.clear()
    there = Mirror({"name": "x", "kind": "website", "where": "", "resumed": False})
    for message in sent:
        there.hear(message)
    await there.start()
    (heard,) = caplog.records
    assert (heard.name, heard.getMessage(), heard.created) == ("connectors.tested", "page 7 is odd", said.created)


async def test_the_numbers_of_a_mirror_are_the_run_s(small_run):
    run = small_run()
    run.progress.discovered, run.progress.read, run.progress.stage = 12, 10, "verifying"
    run.progress.passed("skipped", "robots", "http://127.0.0.1/x")
    run.progress.judged(["new"] * 9 + ["unchanged"])
    _, there, here = await mirrored(run)
    await told(there)
    shown = there.run.progress
    assert (shown.discovered, shown.read, shown.stage, shown.done) == (12, 10, "verifying", 11)
    assert shown.verdicts["new"] == 9
    await here
