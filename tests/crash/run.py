"""The crash proof: kills the product everywhere and counts what was lost or doubled.

    .venv/bin/python tests/crash/run.py

--trials N      about how many kills at named places (default: every place, every time it is passed)
--random N      random kills that must hit while a batch is open (default 500)
--workers N     benches side by side (default 4)
--minutes N     end after about so long
--json FILE     also write the figures there, after each phase
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench import Bench, Case, Verdict
from persona_server import EDIT_FAULTS, POST_FAULTS, READ_FAULTS, Script

if TYPE_CHECKING:
    from collections.abc import Callable

SOME = ("reset during", "reset after", "applied 500", "half 500", "late", "truncated 200")
PLACES = {
    *("call", "answer", "read", "put", "put answer", "delete", "sweep"),
    *(
        f"{when} {verb}"
        for when in ("before", "in", "after")
        for verb in (
            *("add", "record", "skip", "cut", "adopt", "promote_duplicates", "mark_sent", "mark_delivered"),
            *("mark_not_applied", "note", "settle", "split", "quarantine", "count_evidence", "bury", "confirm", "lose"),
            *("intend_update", "updated", "update_lost_its_item", "intend_removal", "removed", "finish"),
        )
    ),
}
"""Every place that must be passed; one that never is fails the proof."""


def cases() -> list[Case]:
    """Return every way in which the server answers, for a first import and for the night after."""
    found = [Case("import, all well", Script())]
    for number in (0, 1):
        found += [
            Case(
                f"import, {fault} at call {number + 1}",
                Script(posts={number: fault}),
                refused_at_first=fault == "refuse" and number == 0,
            )
            for fault in POST_FAULTS
        ]
    found += [Case(f"import, stream, {f}", Script(posts={0: f}), method="stream") for f in SOME]
    found += [Case(f"import, pieces, {f}", Script(posts={0: f}, pieces=150)) for f in SOME]
    found += [Case(f"import, reading: {f}", Script(posts={0: "reset after"}, reads={0: f})) for f in READ_FAULTS]
    found.append(Case("import, a poisoned page", Script(poison="says text 3"), quarantined=("p3",)))
    found.append(Case("import, late beyond the settling time", Script(posts={0: "late"}, late_s=1.0), twice=True))
    found.append(Case("night, all well", Script(), night=2))
    found += [Case(f"night, {f} at change {n + 1}", Script(edits={n: f}), night=2) for f in EDIT_FAULTS for n in (0, 3)]
    found += [Case(f"night, {f} at call 1", Script(posts={0: f}), night=2) for f in SOME]
    found.append(Case("night, pieces", Script(pieces=150), night=2))
    return found


@dataclasses.dataclass
class Report:
    """What all trials showed."""

    trials: Counter = dataclasses.field(default_factory=Counter)
    places: set = dataclasses.field(default_factory=set)
    kills: int = 0
    open_kills: int = 0
    random_open: int = 0
    lost: int = 0
    double: int = 0
    created_twice: int = 0
    foreign: int = 0
    stuck: int = 0
    posts: int = 0
    bad: list = dataclasses.field(default_factory=list)
    naive: Counter = dataclasses.field(default_factory=Counter)
    controls: dict = dataclasses.field(default_factory=dict)
    extra_calls: dict = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    note: Callable[[Report], None] = lambda _: None

    def add(self, kind: str, verdict: Verdict) -> None:
        self.trials[kind] += 1
        self.kills += verdict.killed
        self.open_kills += bool(verdict.open_batches)
        self.lost += verdict.lost
        self.double += verdict.double
        self.created_twice += verdict.created_twice
        self.foreign += verdict.foreign
        self.stuck += verdict.stuck
        self.posts += verdict.posts
        if sum(self.trials.values()) % 100 == 0:
            print(f"{sum(self.trials.values())} trials, {len(self.bad)} bad", file=sys.stderr, flush=True)
            self.note(self)
        if verdict.bad:
            self.bad.append(verdict)
            print(f"BAD {kind}: {verdict}", file=sys.stderr, flush=True)

    @property
    def unmet(self) -> list[str]:
        return sorted(PLACES - self.places)

    @property
    def proven(self) -> bool:
        return not self.bad and not self.unmet and all(self.controls.values())

    def figures(self) -> dict:
        return {
            "proven": self.proven,
            "trials": sum(self.trials.values()),
            "by kind": dict(self.trials),
            "server faults": len(POST_FAULTS) + len(READ_FAULTS) + len(EDIT_FAULTS),
            "places": len(self.places & PLACES),
            "places never passed": self.unmet,
            "kills": self.kills,
            "kills with an open batch": self.open_kills,
            "random kills with an open batch": self.random_open,
            "lost": self.lost,
            "double at rest": self.double,
            "created twice on the way": self.created_twice,
            "foreign items touched": self.foreign,
            "stuck": self.stuck,
            "store calls without kills, by case": self.extra_calls,
            "controls that went red": self.controls,
            "a resending client": dict(self.naive),
            "seconds": round(self.seconds, 1),
        }


class Proof:
    """Carries the phases out over several benches."""

    def __init__(self, *, workers: int, seed: int = 1) -> None:
        self.report = Report()
        self.dice = random.Random(seed)
        self.benches = [Bench() for _ in range(workers)]

    async def __aenter__(self):
        for bench in self.benches:
            await bench.__aenter__()
        return self

    async def __aexit__(self, *_):
        for bench in self.benches:
            await bench.__aexit__()

    async def over(self, jobs: list, do) -> None:
        """Do jobs on all benches."""
        waiting: asyncio.Queue = asyncio.Queue()
        for job in jobs:
            waiting.put_nowait(job)

        async def work(bench: Bench) -> None:
            while not waiting.empty():
                await do(bench, waiting.get_nowait())

        await asyncio.gather(*(work(bench) for bench in self.benches))

    async def plan(self, chosen: list[Case]) -> list[tuple[Case, str]]:
        """Return every place of every case with every number of its passing; each case runs once undisturbed."""
        plans: list[tuple[Case, str]] = []

        async def look(bench: Bench, case: Case) -> None:
            met, undisturbed = await bench.survey(case)
            self.report.places |= met.keys()
            plans.extend((case, f"{place}:{number + 1}") for place, times in met.items() for number in range(times))
            self.report.add("no kill", undisturbed)
            self.report.extra_calls[case.name] = undisturbed.posts

        await self.over(chosen, look)
        return plans

    async def kills(self, plans: list[tuple[Case, str]], *, until: float) -> None:
        async def do(bench: Bench, job) -> None:
            if time.monotonic() < until:
                self.report.add("kill at a place", await bench.trial(*job))

        await self.over(plans, do)

    async def pairs(self, plans: list[tuple[Case, str]], number: int) -> None:
        async def do(bench: Bench, job) -> None:
            self.report.add("two kills", await bench.trial(*job))

        jobs = []
        for case, first in self.dice.sample(plans, min(number, len(plans))):
            others = [fault for other, fault in plans if other is case]
            jobs.append((case, first, self.dice.choice(others)))
        await self.over(jobs, do)

    async def clocks(self, plans: list[tuple[Case, str]], number: int) -> None:
        async def do(bench: Bench, job) -> None:
            case, fault, jump = job
            self.report.add("kill and a clock jump", await bench.trial(case, fault, clock_s=jump))

        jumps = (3600, -3600, 86400 * 30, -86400 * 30)
        jobs = [(*plan, self.dice.choice(jumps)) for plan in self.dice.sample(plans, min(number, len(plans)))]
        await self.over(jobs, do)

    async def random_kills(self, chosen: list[Case], wanted: int) -> None:
        async def do(bench: Bench, case: Case) -> None:
            if self.report.random_open < wanted:
                verdict = await bench.random_kill(case, self.dice)
                self.report.random_open += bool(verdict.open_batches)
                self.report.add("random kill", verdict)

        tries = 0
        while self.report.random_open < wanted and tries < 8:
            tries += 1
            missing = wanted - self.report.random_open
            await self.over([self.dice.choice(chosen) for _ in range(missing + 8)], do)

    async def takeovers(self, plans: list[tuple[Case, str]], number: int) -> None:
        async def do(bench: Bench, job) -> None:
            self.report.add("stopped and taken over", await bench.takeover(*job))

        once = [plan for plan in plans if "finish" not in plan[1] and not plan[0].twice and " in " not in plan[1]]
        once = [plan for plan in once if not plan[1].startswith("in ")]
        await self.over(self.dice.sample(once, min(number, len(once))), do)

    async def disks(self, number: int) -> None:
        async def do(bench: Bench, job) -> None:
            self.report.add("disk full", await bench.full_disk(*job))

        some = (Case("import, disk", Script()), Case("night, disk", Script(), night=2))
        sizes = [round(4096 + step * 400_000 / number) for step in range(number)]
        await self.over([(case, size) for size in sizes for case in some], do)

    async def controls(self, order: dict | None = None) -> None:
        """Take one part out at a time; each time something must go wrong, and nothing with the part in place."""
        order = order or {"settle_s": 1.2, "timeout_s": 1.0}  # so long that a loaded machine stays within it
        settle_s = order["settle_s"]
        reset = Script(posts={0: "reset after"})
        late = Script(posts={0: "late"}, late_s=settle_s / 2)
        beyond = Script(posts={0: "late"}, late_s=settle_s * 3)
        tests = {
            "synced intent": (Case("control", Script(), order=order), ["answer:1", "answer:2"]),
            "settling wait": (Case("control", late, order=order), ["", "after note:1"]),
            "read-back": (Case("control", reset, order=order), ["", "answer:1"]),
            "sweep": (Case("control", beyond, twice=True, order=order), ["", "answer:1"]),
        }

        async def do(bench: Bench, part: str) -> None:
            case, faults = tests[part]
            red = [(await bench.trial(case, *([fault] if fault else []), without=part)).bad for fault in faults]
            whole = [(await bench.trial(case, *([fault] if fault else []))).bad for fault in faults]
            self.report.controls[part] = any(red) and not any(whole)

        await self.over(list(tests), do)

    async def naive(self, chosen: list[Case]) -> None:
        """See what a client does that resends whatever was not answered well."""

        async def do(bench: Bench, job) -> None:
            verdict = await bench.naive(*job)
            self.report.naive["trials"] += 1
            self.report.naive["lost"] += verdict.lost
            self.report.naive["double"] += verdict.double
            self.report.naive["trials gone wrong"] += bool(verdict.lost or verdict.double)

        first = [case for case in chosen if case.night == 1 and not case.quarantined]
        await self.over([(case, fault) for case in first for fault in ("", "call:2", "answer:1", "answer:2")], do)


async def prove(
    *,
    trials: int,
    random_kills: int,
    pairs: int,
    workers: int,
    minutes: float = 600,
    note: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Do everything; ``trials`` and ``minutes`` bound the kills at named places, ``trials`` the rest in proportion."""
    async with Proof(workers=workers) as proof:
        return await _prove(proof, trials=trials, random_kills=random_kills, pairs=pairs, minutes=minutes, note=note)


async def _prove(
    proof: Proof, *, trials: int, random_kills: int, pairs: int, minutes: float, note: Callable[[Report], None]
) -> Report:
    began = time.monotonic()
    proof.report.note = note
    chosen = cases()
    plans = await proof.plan(chosen)
    share = min(1.0, trials / len(plans))
    print(f"{len(chosen)} cases, {len(plans)} places and times in them", file=sys.stderr, flush=True)
    chosen_plans = proof.dice.sample(plans, min(trials, len(plans)))
    for phase, work in {
        "controls": proof.controls(),
        "clocks": proof.clocks(plans, round(100 * share)),
        "takeovers": proof.takeovers(plans, round(60 * share)),
        "disks": proof.disks(max(3, round(40 * share))),
        "random kills": proof.random_kills([c for c in chosen if not c.twice], random_kills),
        "a resending client": proof.naive(chosen),
        "pairs": proof.pairs(plans, pairs),
        "kills at every place": proof.kills(chosen_plans, until=began + minutes * 60),
    }.items():
        print(f"{time.monotonic() - began:6.0f} s: {phase}", file=sys.stderr, flush=True)
        await work
        proof.report.seconds = time.monotonic() - began
        note(proof.report)
    return proof.report


def main() -> int:
    """Print the report; 0 when nothing was lost or doubled, every place was passed and every control went red."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10**9)
    parser.add_argument("--random", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    def note(report: Report) -> None:
        if options.json:
            options.json.write_text(json.dumps(report.figures(), indent=2) + "\n")

    report = asyncio.run(
        prove(
            trials=options.trials,
            random_kills=options.random,
            pairs=options.pairs,
            workers=options.workers,
            minutes=options.minutes,
            note=note,
        )
    )
    print(json.dumps(report.figures(), indent=2))
    return 0 if report.proven else 1


if __name__ == "__main__":
    sys.exit(main())
