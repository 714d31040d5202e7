"""The breaker alone, with a clock of its own and an API that is a function."""

import asyncio
import contextlib

import pytest

from connectors.pipeline.breaker import OPENS_AFTER, Breaker


class Api:
    """Reads and writes at moments of a clock that passes when the breaker sleeps."""

    def __init__(self, *, reads=True, patience_s=float("inf")):
        self.now = 0.0
        self.reads = reads
        self.wrote = []
        self.asked = []
        self.breaker = Breaker(patience_s=patience_s, answers=self.answers, sleep=self.sleep, now=lambda: self.now)

    async def answers(self):
        self.asked.append(self.now)
        return self.reads

    async def sleep(self, seconds):
        self.now += seconds
        await asyncio.sleep(0)

    async def write(self, *, works=False):
        async with self.breaker.turn() as admitted:
            if not admitted:
                return False
            self.wrote.append(self.now)
            await asyncio.sleep(0)
            self.breaker.answered() if works else self.breaker.unclear()
            return True

    async def open(self):
        while not self.breaker.open:
            await self.write()
        self.wrote.clear()


async def test_once_a_call_failed_no_more_get_through_than_open_it():
    api = Api(reads=False, patience_s=60)
    await api.write()
    done = await asyncio.gather(*(api.write() for _ in range(30)))
    assert sum(done) == OPENS_AFTER - 1


async def test_while_reading_works_and_writing_does_not_an_hour_sees_five_writes():
    api = Api()
    await api.open()
    while api.now < 3600:
        await api.write()
    assert [moment for moment in api.wrote if moment < 3600] == pytest.approx([5, 35, 195, 855, 2655])


async def test_after_an_outage_of_everything_the_first_answer_lets_a_write_through_at_once():
    api = Api(reads=False)
    await api.open()

    async def comes_back():
        while api.now < 3600:
            await asyncio.sleep(0)
        api.reads = True

    await asyncio.gather(api.write(works=True), comes_back())
    assert api.wrote == [api.asked[-1]]
    assert not api.breaker.open


async def test_a_patience_that_is_over_admits_nobody_and_asks_once_a_minute():
    api = Api(reads=False, patience_s=60)
    await api.open()
    assert not await api.write()
    asked = len(api.asked)
    assert not await api.write()
    assert len(api.asked) == asked
    api.now += 61
    assert not await api.write()
    assert len(api.asked) == asked + 1
    assert await api.breaker.gave_up()


async def test_a_call_that_breaks_in_the_middle_lets_the_next_one_in():
    api = Api()
    await api.open()
    with contextlib.suppress(ZeroDivisionError):
        async with api.breaker.turn():
            raise ZeroDivisionError
    assert await asyncio.wait_for(api.write(works=True), 5)
