"""The cleaning processes: what they survive, and what they never pass on."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from connectors.errors import FatalError
from connectors.extractors.pool import CleanerPool
from connectors.models import CleaningRules, Resource

RULES = CleaningRules()


def resource(body=b"unknown \x00\x01\x02", *, uri="http://a.example/x", media_type="application/x-thing", **more):
    return Resource(uri=uri, requested_uri=uri, media_type=media_type, body=body, **more)


@pytest.fixture
async def pool():
    made = CleanerPool(2, wall_s=20)
    yield made
    await made.close()


async def test_an_item_nobody_can_read_is_answered_and_says_why(pool):
    out = await pool.clean(resource(), RULES)
    assert (out.pages, out.problem) == ((), "unsupported")


async def test_many_items_are_each_answered_once(pool):
    bodies = [b"" if number % 3 == 0 else b"\0\1" * number for number in range(200)]
    outs = await asyncio.gather(*(pool.clean(resource(body), RULES) for body in bodies))
    assert [out.problem for out in outs] == ["empty" if not body else "unsupported" for body in bodies]
    assert len(pool.pids()) <= 2


async def test_a_child_killed_from_outside_costs_no_item(pool):
    await pool.clean(resource(), RULES)
    work = [asyncio.ensure_future(pool.clean(resource(b"\0" * 100_000), RULES)) for _ in range(100)]
    await asyncio.sleep(0)
    for pid in pool.pids():
        os.kill(pid, signal.SIGKILL)
    outs = await asyncio.gather(*work)
    assert {out.problem for out in outs} == {"unsupported"}


async def test_no_child_outlives_close():
    pool = CleanerPool(2)
    await pool.clean(resource(), RULES)
    pids = pool.pids()
    await pool.close()
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("turns", range(6))
async def test_a_pool_that_is_closed_while_its_first_process_starts_leaves_nothing_and_says_nothing(turns, caplog):
    pool = CleanerPool(1)
    pool.warm()
    (child,) = pool._children
    for _ in range(turns):
        await asyncio.sleep(0)
    await pool.close()
    await asyncio.sleep(0.01)
    assert child.process.returncode is not None
    assert child.socket.fileno() == -1
    assert child.stderr.closed
    assert caplog.records == []


PARENT = """
import asyncio, sys, time
from connectors.extractors.pool import CleanerPool
from connectors.models import CleaningRules, Resource

async def main():
    pool = CleanerPool(1)
    await pool.clean(Resource(uri="a:b", requested_uri="a:b", media_type="", body=b"words"), CleaningRules())
    print(pool.pids()[0], flush=True)
    {then}

asyncio.run(main())
"""


def parent(then):
    return subprocess.Popen(
        [sys.executable, "-c", PARENT.format(then=then)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def lives(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def ends(pid, within_s=60):
    until = time.monotonic() + within_s
    while lives(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not lives(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_children_end_when_the_parent_is_killed():
    process = parent("time.sleep(60)")
    child = int(process.stdout.readline())
    assert lives(child)
    process.kill()
    process.wait()
    assert ends(child)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_ctrl_c_in_a_terminal_does_not_reach_the_children():
    process = parent("time.sleep(60)")
    child = int(process.stdout.readline())
    assert os.getpgid(child) != process.pid
    os.kill(child, signal.SIGINT)
    time.sleep(0.2)
    assert lives(child)
    process.kill()
    process.wait()


async def test_what_the_parent_runs_as_main_is_not_run_again_by_a_child(tmp_path):
    script = tmp_path / "main.py"
    script.write_text("print('main')\n" + PARENT.format(then="await pool.close()"))
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    told = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, env=env)
    assert told.stdout.count("main") == 1, told.stderr


async def test_a_file_of_the_current_folder_is_not_taken_for_a_library(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    pool = CleanerPool(1)
    assert (await pool.clean(resource(b"words", media_type="text/plain"), RULES)).pages
    await pool.close()


async def test_a_process_that_cannot_start_is_told_and_not_tried_for_ever(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    pool = CleanerPool(1)
    with pytest.raises(FatalError, match="do not start"):
        await pool.clean(resource(), RULES)
    await pool.close()


async def test_an_asker_that_gives_up_leaves_the_pool_working(pool):
    asked = asyncio.ensure_future(pool.clean(resource(b"x" * 1_000_000, media_type="text/plain"), RULES))
    await asyncio.sleep(0)
    asked.cancel()
    assert (await pool.clean(resource(b"words", media_type="text/plain"), RULES)).pages


async def test_an_old_process_makes_room_for_a_new_one_and_no_item_is_lost():
    pool = CleanerPool(1, max_memory=50 * 1024**2)  # half of which the libraries alone exceed: each answer is the last
    work = [pool.clean(resource(f"words {n}".encode(), media_type="text/plain"), RULES) for n in range(6)]
    outs = await asyncio.gather(*work)
    assert [out.pages[0].content for out in outs] == [f"words {n}" for n in range(6)]
    await pool.close()


async def test_pages_come_with_the_text_that_is_sent(pool):
    out = await pool.clean(resource(b"# T\n\nText \xed\xa0\x80", media_type="text/markdown"), RULES)
    assert [draft.page for draft in out.drafts] == list(out.pages)
    out.drafts[0].content.encode()  # no lone surrogate reaches us
