"""What the crash proof does: the ways in which the server answers, and the places where the program can be hit."""

from __future__ import annotations

from dataclasses import dataclass, field

from persona_server import EDIT_FAULTS, POST_FAULTS, READ_FAULTS, Script

SETTLE_S = 0.6
TIMEOUT_S = 0.4
LATE_S = 0.4
LATE_SETTLE_S = 1.6  # four times as late as "late": a loaded machine is slow, and is not what is to be shown
FOREIGN = "Somebody's own notes, which nobody may touch."
FIRST_NIGHT = {f"p{number}": f"text {number}" for number in range(5)}
SECOND_NIGHT = {"p0": "text 0", "p1": "changed 1", "moved": "text 2", "p5": "text 5", "p6": "changed 6"}
NIGHT_BEFORE = FIRST_NIGHT | {"p6": "text 6"}
SOME = ("reset during", "reset after", "applied 500", "half 500", "late", "truncated 200")
PLACES = {
    *("call", "answer", "read", "put", "put answer", "delete", "sweep"),
    *(
        f"{when} {verb}"
        for when in ("before", "in", "after")
        for verb in (
            *("add", "record", "skip", "cut", "adopt", "promote_duplicates", "mark_sent", "mark_delivered"),
            *("mark_not_applied", "note", "settle", "split", "quarantine", "count_evidence", "bury", "confirm", "lose"),
            *("intend_update", "updated", "update_lost_its_item", "intend_removal", "removed", "finish", "remember"),
        )
    ),
}
"""Every place that must be passed; one that never is fails the proof."""


@dataclass(frozen=True)
class Case:
    """What is to be done, and how the server answers.

    ``twice`` says that pages may be created twice on the way, because the server applies what it was sent after
    the settling time, or forgets: then only what is at rest counts.
    """

    name: str
    script: Script
    night: int = 1
    method: str = "store"
    refused_at_first: bool = False
    twice: bool = False
    quarantined: tuple[str, ...] = ()
    order: dict = field(default_factory=dict)


def cases() -> list[Case]:
    """Return every way in which the server answers, for a first import and for the night after."""
    found = [_case("import, all well")]
    for number in (0, 1):
        found += [
            _case(f"import, {fault} at call {number + 1}", fault, number, refused_at_first=(fault, number) == REFUSED)
            for fault in POST_FAULTS
        ]
    found += [_case(f"import, stream, {fault}", fault, method="stream") for fault in SOME]
    found += [_case(f"import, pieces, {fault}", fault, pieces=150) for fault in SOME]
    found += [_case(f"import, reading: {fault}", "reset after", reads={0: fault}) for fault in READ_FAULTS]
    found.append(Case("import, a poisoned page", Script(poison="says text 3"), quarantined=("p3",)))
    found.append(Case("import, late beyond the settling time", Script(posts={0: "late"}, late_s=1.8), twice=True))
    found.append(_case("night, all well", night=2))
    for number in (0, 3):
        found += [_case(f"night, {f} at change {number + 1}", edits={number: f}, night=2) for f in EDIT_FAULTS]
    found += [_case(f"night, {fault} at call 1", fault, night=2) for fault in SOME]
    found.append(_case("night, pieces", pieces=150, night=2))
    return found


REFUSED = ("refuse", 0)


def _case(
    name: str,
    fault: str = "",
    number: int = 0,
    *,
    reads: dict | None = None,
    edits: dict | None = None,
    pieces: int = 0,
    **more,
) -> Case:
    script = Script(
        posts={number: fault} if fault else {},
        reads=reads or {},
        edits=edits or {},
        pieces=pieces,
        late_s=LATE_S,
        drip_s=2 * TIMEOUT_S,
        down_s=0.3,
    )
    return Case(name, script, order={"settle_s": LATE_SETTLE_S} if fault == "late" else {}, **more)
