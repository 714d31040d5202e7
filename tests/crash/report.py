"""The report of the crash proof: what all trials showed, and what is missing for a proof."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from typing import TYPE_CHECKING

from cases import PLACES
from persona_server import EDIT_FAULTS, POST_FAULTS, READ_FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench import Verdict


@dataclasses.dataclass
class Asked:
    """What a proof has to bring: so many trials, so many random kills with an open batch, so many pairs."""

    trials: int = 5000
    random_kills: int = 500
    pairs: int = 500
    dialect: str = "sqlite"


@dataclasses.dataclass
class Report:
    """What all trials showed."""

    asked: Asked = dataclasses.field(default_factory=Asked)
    trials: Counter = dataclasses.field(default_factory=Counter)
    hits: Counter = dataclasses.field(default_factory=Counter)
    open_hits: Counter = dataclasses.field(default_factory=Counter)
    places: set = dataclasses.field(default_factory=set)
    planned: set = dataclasses.field(default_factory=set)
    done: set = dataclasses.field(default_factory=set)
    fired: set = dataclasses.field(default_factory=set)
    killed: int = 0
    lost: int = 0
    double: int = 0
    created_twice: int = 0
    foreign: int = 0
    stuck: int = 0
    posts: int = 0
    again: int = 0
    locked: int = 0
    bad: list = dataclasses.field(default_factory=list)
    broken: list = dataclasses.field(default_factory=list)
    naive: Counter = dataclasses.field(default_factory=Counter)
    controls: dict = dataclasses.field(default_factory=dict)
    outages: dict = dataclasses.field(default_factory=dict)
    calls: dict = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    over: bool = False
    note: Callable[[Report], None] = lambda _: None

    def add(self, kind: str, verdict: Verdict) -> None:
        self.trials[kind] += 1
        self.hits[kind] += bool(verdict.hits)
        self.open_hits[kind] += bool(verdict.open_batches)
        self.killed += verdict.killed
        self.lost += verdict.lost
        self.double += verdict.double
        self.created_twice += verdict.created_twice
        self.foreign += verdict.foreign
        self.stuck += verdict.stuck
        self.posts += verdict.posts
        self.locked += verdict.locked
        if verdict.bad:
            self.bad.append(verdict)
            print(f"BAD {kind}: {verdict}", file=sys.stderr, flush=True)
        if sum(self.trials.values()) % 100 == 0:
            self.note(self)

    def missing(self) -> list[str]:
        """Say what a proof needs and this report does not have."""
        lacks = {
            "the end": self.over,
            "a bench that worked in every trial": not self.broken,
            f"{self.asked.trials} trials": sum(self.trials.values()) >= self.asked.trials,
            f"{self.asked.random_kills} random kills with an open batch": (
                self.open_hits["random kill"] >= self.asked.random_kills
            ),
            f"{self.asked.pairs} pairs of kills": self.trials["two kills"] >= self.asked.pairs,
            "a trial of each kind that struck": all(self.hits[kind] for kind in self.trials if kind != "no kill"),
            "every place": not self.unmet,
            "every place under every fault": self._pairs(self.done) == self._pairs(self.planned),
            "controls that go red": bool(self.controls) and all(self.controls.values()),
            "a resending client that doubles": self.naive["double"] > 0 or self.asked.dialect != "sqlite",
            "an outage for a tenth more calls": all(
                found["extra"] <= 0.1 and found["there once"] for found in self.outages.values()
            ),
        }
        return [what for what, there in lacks.items() if not there]

    @property
    def unmet(self) -> list[str]:
        return sorted(PLACES - self.places)

    @property
    def proven(self) -> bool:
        return not self.bad and not self.missing()

    @staticmethod
    def _pairs(combinations: set) -> set:
        return {(name, fault.rpartition(":")[0]) for name, fault in combinations}

    def figures(self) -> dict:
        return {
            "proven": self.proven,
            "missing": self.missing(),
            "ledger": self.asked.dialect,
            "trials": sum(self.trials.values()),
            "by kind": {
                kind: {"trials": number, "struck": self.hits[kind], "with an open batch": self.open_hits[kind]}
                for kind, number in self.trials.items()
            },
            "server faults": len(POST_FAULTS) + len(READ_FAULTS) + len(EDIT_FAULTS),
            "places": len(self.places & PLACES),
            "places never passed": self.unmet,
            "place x server fault": f"{len(self._pairs(self.done))} of {len(self._pairs(self.planned))}",
            "place x server fault x k": f"{len(self.done)} of {len(self.planned)}",
            "of them with a kill": len(self.fired),
            "kills": self.killed,
            "trials that struck with an open batch": sum(self.open_hits.values()),
            "random kills with an open batch": self.open_hits["random kill"],
            "lost": self.lost,
            "double at rest": self.double,
            "created twice on the way": self.created_twice,
            "foreign items touched": self.foreign,
            "stuck": self.stuck,
            "stopped inside a transaction, so killed before it was taken over": self.locked,
            "done again because the machine stood still": self.again,
            "trials that the bench could not carry out": self.broken,
            "controls that went red": self.controls,
            "a resending client": dict(self.naive),
            "an hour's outage": self.outages,
            "store calls without kills, by case": self.calls,
            "seconds": round(self.seconds, 1),
        }
