"""The crash proof: hits the product everywhere and counts what was lost or doubled.

    .venv/bin/python tests/crash/run.py                     # half an hour on two cores that do nothing else
    .venv/bin/python tests/crash/run.py --ledger postgresql --trials 300 --random 30 --pairs 30

--trials N      how many trials in all are asked for (default 5000); `--minutes` decides how many more are made
--random N      random kills that must hit while a batch is open (default 500)
--pairs N       pairs of kills (default 500)
--workers N     trials under way at a time (default 16: most of a trial is waiting)
--minutes N     begin no new trial after so long (default 40)
--phases NAMES  only these, with commas (default all): a proof may be made in several runs, and each says what it lacks
--json FILE     also write the figures there, every 100 trials and at the end
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import time
import traceback
from collections import defaultdict
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import outage
from bench import Bench, House, Verdict
from cases import Case, cases
from fates import DISKS
from persona_server import Script
from report import Asked, Report

from connectors.ledger import lease

STILL_S = 0.3  # half the settling time: who stood still for longer may have applied after it what was sent before
CONTROLS = {"settle_s": 1.6, "timeout_s": 1.2}
JUMPS_S = (3600, -3600, 86400 * 30, -86400 * 30)


class Proof:
    """Carries the phases out over several benches."""

    def __init__(self, *, workers: int, asked: Asked | None = None, seed: int = 1, minutes: float = 600) -> None:
        self.report = Report(asked or Asked())
        self.dice = random.Random(seed)
        self.house = House(self.report.asked.dialect)
        self.benches = [Bench(self.house, f"w{number}") for number in range(workers)]
        self._until = time.monotonic() + minutes * 60
        self._stack = AsyncExitStack()

    async def __aenter__(self):
        await self._stack.enter_async_context(self.house)
        for bench in self.benches:
            await self._stack.enter_async_context(bench)
        return self

    async def __aexit__(self, *failure):
        await self._stack.__aexit__(*failure)

    async def over(self, jobs: list, do) -> None:
        """Do jobs on all benches, as long as there is time."""
        waiting = iter(jobs)

        async def work(bench: Bench) -> None:
            for job in waiting:
                if time.monotonic() > self._until:
                    return
                try:
                    await do(bench, job)
                except Exception as error:  # noqa: BLE001 - an hour's work does not end with one trial; the report tells
                    self.report.broken.append(repr(error))
                    traceback.print_exc()

        await asyncio.gather(*(work(bench) for bench in self.benches))

    async def judged(self, kind: str, again) -> Verdict:
        """Do a trial and count it; once more when it went wrong while the machine let nobody run."""
        verdict = await again()
        if verdict.bad and verdict.stood_still_s > STILL_S:
            self.report.again += 1
            print(f"AGAIN, the machine stood still: {verdict}", file=sys.stderr, flush=True)
            verdict = await again()
        self.report.add(kind, verdict)
        return verdict

    async def hit(self, kind: str, jobs: list, **more) -> None:
        """Do trials: each job is a case, its faults, and more for the run that is hit."""

        async def do(bench: Bench, job) -> None:
            case, *faults = job
            await self.judged(kind, lambda: bench.trial(case, *faults, **more))

        await self.over(jobs, do)

    # -- phases -------------------------------------------------------------------------------------------------------

    async def plan(self, chosen: list[Case]) -> list[tuple[Case, str]]:
        """Return every place of every case with every number of its passing; each case runs once undisturbed.

        Every place of every case stands in it once before any stands in it for the second time.
        """
        groups: dict[tuple[str, str], list[tuple[Case, str]]] = defaultdict(list)

        async def look(bench: Bench, case: Case) -> None:
            met, undisturbed = await bench.survey(case)
            self.report.places |= met.keys()
            for place, times in met.items():
                groups[case.name, place] += [(case, f"{place}:{number + 1}") for number in range(times)]
            self.report.add("no kill", undisturbed)
            self.report.calls[case.name] = undisturbed.posts

        await self.over(chosen, look)
        ranked = []
        for plans in groups.values():
            self.dice.shuffle(plans)
            ranked += [(rank or -1, self.dice.random(), plan) for rank, plan in enumerate(plans)]
        plans = [plan for _, _, plan in sorted(ranked, key=lambda entry: entry[:2])]
        self.report.planned = {(case.name, fault) for case, fault in plans}
        return plans

    async def kills(self, plans: list[tuple[Case, str]]) -> None:
        async def do(bench: Bench, plan) -> None:
            case, fault = plan
            verdict = await self.judged("kill at a place", lambda: bench.trial(case, fault))
            self.report.done.add((case.name, fault))
            if verdict.hits:
                self.report.fired.add((case.name, fault))

        await self.over(plans, do)

    async def pairs(self, plans: list[tuple[Case, str]], number: int) -> None:
        by_case = defaultdict(list)
        for case, fault in plans:
            by_case[case.name].append(fault)
        some = self.sample(plans, number)
        await self.hit("two kills", [(case, fault, self.dice.choice(by_case[case.name])) for case, fault in some])

    def sample(self, plans: list, number: int) -> list:
        return self.dice.sample(plans, min(number, len(plans)))

    async def clocks(self, plans: list[tuple[Case, str]], number: int) -> None:
        for jump in JUMPS_S:
            some = self.sample(plans, max(1, number // len(JUMPS_S)))
            await self.hit("killed, then the clock jumps", some, later={"clock_s": jump})
            some = self.sample(plans, max(1, number // len(JUMPS_S)))
            await self.hit("the clock jumps in a run", some, fate="jump", jump_s=jump)
        later = {"restarted_ms": lease.tick_ms() - 1000}
        await self.hit("killed, then the machine starts anew", self.sample(plans, number), later=later)

    async def takeovers(self, plans: list[tuple[Case, str]], number: int) -> None:
        async def do(bench: Bench, job) -> None:
            await self.judged("stopped and taken over", lambda: bench.takeover(*job))

        once = [(case, fault) for case, fault in plans if not case.twice and "finish" not in fault]
        await self.over(self.sample([plan for plan in once if not plan[1].startswith("in ")], number), do)

    async def disks(self, plans: list[tuple[Case, str]], number: int) -> None:
        """Let the disk be full, or broken in three ways, from some place on; and let no file grow beyond a size."""
        if self.report.asked.dialect != "sqlite":
            await self.hit("the database ends its connections", self.sample(plans, number), fate="disconnect")
            return
        for how in DISKS:
            await self.hit(how, self.sample(plans, number), fate=how)

        async def do(bench: Bench, job) -> None:
            await self.judged("a file cannot grow", lambda: bench.full_file(*job))

        some = (Case("import, disk", Script()), Case("night, disk", Script(), night=2))
        sizes = [round(4096 + step * 400_000 / number) for step in range(number)]
        await self.over([(case, size) for size in sizes for case in some], do)

    async def random_kills(self, chosen: list[Case], wanted: int) -> None:
        async def do(bench: Bench, case: Case) -> None:
            if self.report.open_hits["random kill"] < wanted:
                await self.judged("random kill", lambda: bench.random_kill(case, self.dice))

        await self.over([self.dice.choice(chosen) for _ in range(wanted * 8)], do)

    async def controls(self) -> None:
        """Take one part out at a time; each time something must go wrong, and nothing with the part in place."""
        settle_s = CONTROLS["settle_s"]
        reset = Script(posts={0: "reset after"})
        late = Script(posts={0: "late"}, late_s=settle_s * 1.5)
        patient = CONTROLS | {"settle_s": settle_s * 3}
        beyond = Script(posts={0: "late"}, late_s=settle_s * 2)
        tests = {
            "synced intent": (Case("control", Script(), order=CONTROLS), ["answer:1", "answer:2"]),
            "settling wait": (Case("control", late, order=patient), ["", "after note:1"]),
            "read-back": (Case("control", reset, order=CONTROLS), ["", "answer:1"]),
            "sweep": (Case("control", beyond, twice=True, order=CONTROLS), ["", "answer:1"]),
        }

        async def do(bench: Bench, part: str) -> None:
            case, faults = tests[part]
            red, whole = [], []
            for fault in faults:
                hit = [fault] if fault else []
                red.append((await bench.without(case, part, *hit)).bad)
                whole.append((await self.judged("every part in place", partial(bench.trial, case, *hit))).bad)
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

    async def outages(self) -> None:
        """Let the knowledge base be away for an hour, in each way, with a clock of ours and a real server."""
        for how in outage.WAYS:
            self.report.outages[how] = await outage.measure(how)


PHASES = ("outages", "controls", "clocks", "takeovers", "disks", "random", "naive", "pairs", "kills")


async def prove(proof: Proof, wanted: tuple[str, ...] = PHASES) -> Report:
    """Do everything wanted, the kills at every place last: they take what time is left."""
    began = time.monotonic()
    report, asked = proof.report, proof.report.asked
    chosen = cases()
    share = min(1.0, asked.trials / 5000)
    sqlite = asked.dialect == "sqlite"
    if sqlite and "outages" in wanted:
        await proof.outages()
    plans = await proof.plan(chosen)
    print(f"{len(chosen)} cases, {len(plans)} places and times in them", file=sys.stderr, flush=True)
    if asked.trials < len(report.planned) / 4:  # a sample cannot have every pair, and does not claim to
        plans = plans[: asked.trials]
        report.planned = {(case.name, fault) for case, fault in plans}
    works = {
        "controls": proof.controls,
        "clocks": lambda: proof.clocks(plans, max(4, round(100 * share))),
        "takeovers": lambda: proof.takeovers(plans, max(3, round(100 * share))),
        "disks": lambda: proof.disks(plans, max(3, round(60 * share))),
        "random": lambda: proof.random_kills([case for case in chosen if not case.twice], asked.random_kills),
        "naive": lambda: proof.naive(chosen if sqlite else []),
        "pairs": lambda: proof.pairs(plans, asked.pairs),
        "kills": lambda: proof.kills(plans),
    }
    for phase in (phase for phase in PHASES[1:] if phase in wanted):
        so_far = f"{sum(report.trials.values())} trials, {len(report.bad)} bad"
        print(f"{time.monotonic() - began:6.0f} s, {so_far}: {phase}", file=sys.stderr, flush=True)
        await works[phase]()
        report.seconds = time.monotonic() - began
        report.note(report)
    report.over = True
    report.note(report)
    return report


def _phases(words: str) -> tuple[str, ...]:
    names = tuple(word.strip() for word in words.split(","))
    if unknown := [name for name in names if name not in PHASES]:
        raise argparse.ArgumentTypeError(f"there is no phase {unknown[0]!r}; there are {', '.join(PHASES)}")
    return names


async def _main(options: argparse.Namespace) -> Report:
    asked = Asked(trials=options.trials, random_kills=options.random, pairs=options.pairs, dialect=options.ledger)
    async with Proof(workers=options.workers, asked=asked, minutes=options.minutes) as proof:
        if options.json:
            proof.report.note = lambda report: options.json.write_text(json.dumps(report.figures(), indent=2) + "\n")
        return await prove(proof, options.phases)


def main() -> int:
    """Print the report; 0 when nothing was lost or doubled, and nothing is missing that a proof needs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--random", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--phases", type=_phases, default=PHASES)
    parser.add_argument("--ledger", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # servers and folders go with us
    report = asyncio.run(_main(options))
    print(json.dumps(report.figures(), indent=2))
    return 0 if report.proven else 1


if __name__ == "__main__":
    sys.exit(main())
