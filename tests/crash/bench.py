"""The bench of the crash proof: trials of every kind, one after another, over a server of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cases import FIRST_NIGHT, FOREIGN, NIGHT_BEFORE, SECOND_NIGHT, Case
from driver import BUSY, DONE, INCOMPLETE, STOPPED, content_of
from persona_server import Script, Server
from stores import open_store
from zygote import Zygote

if TYPE_CHECKING:
    import random

    from zygote import Child

MOST_RUNS = 8
_NOTICED_S = 0.1
_SLOW_S = 0.03


@dataclass
class Verdict:
    """What one trial showed.

    ``hits`` says how often what was planned came to pass; ``open_batches`` how many batches were open just then.
    """

    case: str
    fault: str
    lost: int = 0
    double: int = 0
    created_twice: int = 0
    foreign: int = 0
    stuck: bool = False
    hits: int = 0
    killed: int = 0
    open_batches: int = 0
    runs: int = 0
    posts: int = 0
    stood_still_s: float = 0.0
    locked: bool = False
    words: str = ""

    @property
    def bad(self) -> bool:
        return bool(self.lost or self.double or self.foreign or self.stuck or self.created_twice)


class CountingServer(Server):
    """A server that also knows how often each text was created."""

    def __init__(self) -> None:
        super().__init__()
        self.created: Counter[str] = Counter()

    def reset(self, script: Script) -> None:
        super().reset(script)
        self.created.clear()

    def add(self, content: str) -> str:
        self.created[content] += 1
        return super().add(content)


class House:
    """What all benches share: where the ledgers are, the process that others are forked from, and one clock's word."""

    def __init__(self, dialect: str = "sqlite") -> None:
        self.store = open_store(dialect)
        self._still: deque[tuple[float, float]] = deque(maxlen=200)
        self._nights: dict[int, list[str]] = {}
        self._making = asyncio.Lock()

    async def __aenter__(self):
        await self.store.__aenter__()
        await self.store.copy("empty", "warm")
        self.zygote = Zygote(self.store.url("warm"))
        await self.zygote.__aenter__()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *failure):
        self._watching.cancel()
        await self.zygote.__aexit__(*failure)
        await self.store.__aexit__(*failure)

    async def _watch(self) -> None:
        """Notice when the machine does not let us run: then the servers here answer late, too."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.05)
            still_s = time.monotonic() - before - 0.05
            if still_s > _NOTICED_S:
                self._still.append((before, still_s))

    def stood_still_s(self, since: float) -> float:
        """Return for how long at most the servers here could not run since then."""
        return max((still_s for at, still_s in self._still if at >= since - 1), default=0.0)

    async def night_before(self, bench: Bench, pieces: int) -> tuple[str, list[str]]:
        """Return the ledger and the items after a first night, which is spent once."""
        name = f"before{pieces}"
        async with self._making:
            if pieces not in self._nights:
                bench.server.reset(Script(pieces=pieces))
                await self.store.copy("empty", name)
                first = bench.order_of(name) | {"pages": NIGHT_BEFORE}
                assert await self.zygote.do(first) == DONE, bench.words()
                await self.store.seal(name)
                self._nights[pieces] = list(bench.server.items.values())
        return name, self._nights[pieces]


class Bench:
    """One server and a ledger at a time: trials run one after another."""

    def __init__(self, house: House, name: str = "a") -> None:
        self.server = CountingServer()
        self._house = house
        self._name = name
        self._number = 0
        self._began = 0.0
        self._errors = house.store.folder / f"errors_{name}"

    async def __aenter__(self):
        await self.server.__aenter__()
        return self

    async def __aexit__(self, *failure):
        await self.server.__aexit__(*failure)

    def words(self) -> str:
        """Return what the processes of this trial wrote."""
        return self._errors.read_text("utf-8", "replace") if self._errors.exists() else ""

    def order_of(self, name: str) -> dict:
        return {
            "ledger": self._house.store.url(name),
            "name": name,
            "url": self.server.url,
            "errors": str(self._errors),
        }

    async def do(self, order: dict) -> int:
        """Run a process to its end."""
        return await self._house.zygote.do(order)

    async def prepare(self, case: Case) -> dict:
        """Set the server up and return the order that every process of the trial gets."""
        self._number += 1
        self._errors.unlink(missing_ok=True)
        self._began = time.monotonic()
        name = f"{self._name}_{self._number}"
        order = self.order_of(name) | {"method": case.method} | case.order
        if case.night == 1:
            self.server.reset(case.script)
            order["pages"] = FIRST_NIGHT
            await self._house.store.copy("empty", name)
        else:
            await self._copy_the_night_before(name, case)
            order |= {
                "pages": SECOND_NIGHT,
                "skipped": {"p3": "deleted", "p4": "deleted", "p2": "redirect"},
                "moved": {"moved": "p2"},
                "purpose": "sync",
            }
        self.server.add(FOREIGN)
        self.server.created.clear()
        if case.refused_at_first:
            self.server.go_down()
        return order

    async def _copy_the_night_before(self, name: str, case: Case) -> None:
        template, items = await self._house.night_before(self, case.script.pieces)
        await self._house.store.copy(template, name)
        self.server.reset(case.script)
        for item in items:
            self.server.add(item)
        victim = next(i for i, text in self.server.items.items() if "/p6\n" in text)
        del self.server.items[victim]  # somebody deleted a page that changed tonight

    async def trial(self, case: Case, *faults: str, later: dict | None = None, **more) -> Verdict:
        """Hit the process at each of these places, one run each, then let it run to its end, and look.

        Args:
            later: what the runs after the first one are told.
            more: what the runs with a fault are told.
        """
        order = await self.prepare(case)
        verdict = Verdict(case.name, " then ".join(faults))
        code = None
        for number in range(MOST_RUNS):
            hit = {"fault": faults[number]} | more if number < len(faults) else {}
            code = await self.do(order | ((later or {}) if number else {}) | hit)
            verdict.runs += 1
            if code == -signal.SIGKILL:
                verdict.killed += 1
                verdict.open_batches += await self._house.store.open_batches(order["name"])
            elif code not in {INCOMPLETE, STOPPED, BUSY}:
                break
            if number < len(faults) and "STRUCK" in self.words():
                verdict.open_batches += await self._house.store.open_batches(order["name"])
        verdict.hits = verdict.killed + int("STRUCK" in self.words())
        verdict.stuck = code != DONE
        return await self.judge(case, order, verdict)

    async def without(self, case: Case, part: str, *faults: str) -> Verdict:
        """Do a trial with a part of the product taken out."""
        spoilt = Case(**{**vars(case), "order": case.order | {"without": part}})
        return await self.trial(spoilt, *faults)

    async def judge(self, case: Case, order: dict, verdict: Verdict) -> Verdict:
        """Compare what is there, when everything is at rest, with what should be."""
        await self.server.quiet()
        if case.twice:  # what came after the settling time is found by the next reading, whoever makes it
            code = await self.do(order | {"purpose": "retry"})
            verdict.stuck = verdict.stuck or code != DONE
        wanted: Counter[str] = Counter({FOREIGN: 1})
        for name, text in order["pages"].items():
            if name not in case.quarantined:
                wanted.update(self.server.cut(content_of(name, text)))
        there = Counter(self.server.items.values())
        verdict.lost = sum((wanted - there).values())
        verdict.double = sum((there - wanted).values())
        verdict.foreign = int(there[FOREIGN] != 1)
        if not case.twice and not self.server.script.pieces:
            verdict.created_twice = sum(number - 1 for number in self.server.created.values() if number > 1)
        verdict.posts = self.server.calls["post"]
        verdict.stood_still_s = self._house.stood_still_s(self._began)
        if verdict.bad:
            verdict.words += self.words()[-900:]
        await self._house.store.drop(order["name"])
        return verdict

    async def random_kill(self, case: Case, dice: random.Random) -> Verdict:
        """Kill the process some moment after the API heard from it, then let it run to its end, and look."""
        order = await self.prepare(case)
        verdict = Verdict(case.name, "random")
        self.server.slow_s = dice.choice([(0.0, _SLOW_S), (_SLOW_S, 0.0), (0.0, 0.0)])
        self.server.heard.clear()
        child = await self._house.zygote.start(order)
        for _ in range(dice.choice((1, 1, 2, 3))):
            hearing = asyncio.create_task(self.server.heard.wait())
            await asyncio.wait({hearing, child.ended}, return_when=asyncio.FIRST_COMPLETED)
            hearing.cancel()
            self.server.heard.clear()
        await asyncio.sleep(dice.random() * _SLOW_S)
        if not child.ended.done():
            with suppress(ProcessLookupError):
                os.kill(child.pid.result(), signal.SIGKILL)
        verdict.killed = verdict.hits = int(await child.ended == -signal.SIGKILL)
        verdict.open_batches = await self._house.store.open_batches(order["name"]) if verdict.killed else 0
        self.server.slow_s = (0.0, 0.0)
        code = DONE
        for _ in range(MOST_RUNS):
            code = await self.do(order)
            verdict.runs += 1
            if code == DONE:
                break
        verdict.stuck = code != DONE
        return await self.judge(case, order, verdict)

    async def takeover(self, case: Case, fault: str) -> Verdict:
        """Stop the process at a place, let another one take its source over and end, then wake the first one up.

        One that stands still inside a transaction holds SQLite's lock. The other one must say so and stop; then it is
        killed, as a person would do, and the other one tries again.
        """
        order = await self.prepare(case) | {"stale_s": 0.8, "beat_s": 0.1}
        verdict = Verdict(case.name, f"stop at {fault}")
        first = await self._house.zygote.start(order | {"fault": fault, "fate": "stop"})
        while (state := _state_of(first)) not in {"T", ""}:
            await asyncio.sleep(0.02)
        verdict.hits = int(state == "T")
        await asyncio.sleep(0.9)
        verdict.open_batches = await self._house.store.open_batches(order["name"])
        code = await self.do(order)
        verdict.locked = bool(state) and code == STOPPED and "database is locked" in self.words()
        if verdict.locked:
            os.kill(first.pid.result(), signal.SIGKILL)
            await first.ended
            code = await self.do(order)
        elif state:
            os.kill(first.pid.result(), signal.SIGCONT)
        ended = await first.ended
        verdict.stuck = code != DONE or ended not in ({-signal.SIGKILL} if verdict.locked else {STOPPED, DONE})
        verdict.words = f"first ended with {ended}, second with {code}"
        return await self.judge(case, order, verdict)

    async def full_file(self, case: Case, file_bytes: int) -> Verdict:
        """Let no file grow beyond a size; the program must say so and stop, and go on when there is room again."""
        order = await self.prepare(case)
        verdict = Verdict(case.name, f"no file beyond {file_bytes} bytes")
        code = await self.do(order | {"file_bytes": file_bytes})
        verdict.hits = int(code == STOPPED)
        verdict.stuck = code not in {STOPPED, DONE}
        verdict.words = f"ended with {code}"
        if not verdict.stuck:
            verdict.stuck = await self.do(order) != DONE
        return await self.judge(case, order, verdict)

    async def naive(self, case: Case, fault: str) -> Verdict:
        """Do the same with a program that resends what was not answered."""
        order = await self.prepare(case)
        order |= {"naive": True, "notes": str(self._house.store.folder / f"{order['name']}.notes")}
        verdict = Verdict(case.name, fault)
        for planned in (fault, ""):
            code = await self.do(order | {"fault": planned})
            if code == DONE:
                break
        return await self.judge(case, order, verdict)

    async def survey(self, case: Case) -> tuple[dict[str, int], Verdict]:
        """Run a case undisturbed: how often it comes by each place, and what is there in the end."""
        order = await self.prepare(case)
        counts = self._house.store.folder / f"{order['name']}.counts"
        met: Counter[str] = Counter()
        verdict = Verdict(case.name, "")
        code = None
        for _ in range(MOST_RUNS):
            verdict.runs += 1
            code = await self.do(order | {"count": str(counts)})
            met |= Counter(json.loads(counts.read_text())) if counts.exists() else Counter()
            if code != INCOMPLETE:
                break
        verdict.stuck = code != DONE
        return dict(met), await self.judge(case, order, verdict)


def _state_of(child: Child) -> str:
    """Return the state of a process as the system calls it; empty when it ended."""
    if child.ended.done():
        return ""
    try:
        return Path(f"/proc/{child.pid.result()}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
