from __future__ import annotations

import asyncio

import pytest

from connectors.web.deadline import Deadline


async def within(deadline, seconds):
    with deadline:
        await asyncio.sleep(seconds)
    return "in time"


async def test_what_takes_too_long_is_a_timeout_and_its_task_goes_on():
    deadline = Deadline(0.05)
    with pytest.raises(TimeoutError):
        await within(deadline, 30)
    task = asyncio.current_task()
    assert task.cancelling() == 0
    assert await within(deadline, 0) == "in time"


async def test_each_of_many_has_its_own_time():
    """The second and the fourth end when the first is late already, and long before their own time is over."""
    deadline = Deadline(0.6)
    late = asyncio.Event()

    async def for_ever():
        try:
            with deadline:
                await asyncio.sleep(30)
        finally:
            late.set()

    async def until_then(after):
        await asyncio.sleep(after)
        with deadline:
            await late.wait()
        return "in time"

    async def later(after):
        await asyncio.sleep(after)
        return await within(deadline, 30)

    waits = [for_ever(), until_then(0.5), later(0.1), until_then(0.55), later(0.65)]
    ended = await asyncio.gather(*waits, return_exceptions=True)
    assert [type(one) for one in ended] == [TimeoutError, str, TimeoutError, str, TimeoutError]


async def test_one_timer_serves_all():
    deadline = Deadline(60)
    await asyncio.gather(*(within(deadline, 0) for _ in range(50)))
    timer = deadline._timer
    await within(deadline, 0)
    assert deadline._timer is timer
    deadline.close()
    assert timer.cancelled()


async def test_who_is_cancelled_by_somebody_else_stays_cancelled():
    deadline = Deadline(60)
    task = asyncio.create_task(within(deadline, 30))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    deadline.close()


async def test_who_is_late_and_cancelled_too_stays_cancelled():
    deadline = Deadline(0.05)

    async def stubborn():
        with deadline:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                task.cancel()  # by somebody else, in the same moment
                raise

    task = asyncio.create_task(stubborn())
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_stays_what_it_is_also_when_it_comes_late():
    deadline = Deadline(0.05)

    async def failing():
        with deadline:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                raise ValueError("a fault") from None

    with pytest.raises(ValueError, match="a fault"):
        await failing()
    assert asyncio.current_task().cancelling() == 0
