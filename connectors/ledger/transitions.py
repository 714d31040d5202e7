"""What may become of a page version, and what an answer of the API means. Pure: tables and no I/O.

pending ──intend──> sent ──succeed / found──> delivered ──seen once──> verified
   ^                 │ │                          │                       │
   └──not applied / not found / missing <─────────┴───────────────────────┘
sent, pending ──refused alone──> quarantined ──release──> pending
pending ──intend update──> updating ──updated──> delivered      (the version before: replaced)
delivered, verified ──intend delete──> deleting ──deleted──> deleted
"""

from __future__ import annotations

from typing import Final, Literal

from connectors.errors import FatalError, IngestError, RefusedError, RetryableError

State = Literal[
    "duplicate",
    "pending",
    "sent",
    "delivered",
    "verified",
    "updating",
    "deleting",
    "quarantined",
    "superseded",
    "replaced",
    "deleted",
]
Event = Literal[
    "intend",
    "succeed",
    "not applied",
    "found",
    "not found",
    "refused alone",
    "release",
    "seen once",
    "missing",
    "intend update",
    "updated",
    "update refused",
    "update lost its item",
    "replace",
    "intend delete",
    "deleted",
    "supersede",
    "promote",
]
Meaning = Literal["delivered", "not applied", "refused", "stop", "unknown"]

TABLE: Final[dict[Event, tuple[frozenset[State], State]]] = {
    "intend": (frozenset({"pending"}), "sent"),
    "succeed": (frozenset({"sent"}), "delivered"),
    "not applied": (frozenset({"sent"}), "pending"),
    "found": (frozenset({"sent", "quarantined"}), "delivered"),
    "not found": (frozenset({"sent"}), "pending"),
    "refused alone": (frozenset({"pending", "sent"}), "quarantined"),
    "release": (frozenset({"quarantined"}), "pending"),
    "seen once": (frozenset({"delivered", "verified"}), "verified"),
    "missing": (frozenset({"delivered", "verified"}), "pending"),
    "intend update": (frozenset({"pending", "updating"}), "updating"),
    "updated": (frozenset({"updating"}), "delivered"),
    "update refused": (frozenset({"updating"}), "quarantined"),
    "update lost its item": (frozenset({"updating"}), "pending"),
    "replace": (frozenset({"delivered", "verified"}), "replaced"),
    "intend delete": (frozenset({"delivered", "verified", "deleting"}), "deleting"),
    "deleted": (frozenset({"deleting"}), "deleted"),
    "supersede": (frozenset({"pending", "updating", "quarantined", "duplicate"}), "superseded"),
    "promote": (frozenset({"duplicate"}), "pending"),
}
"""For each event: the states in which it may happen, and the state after it."""

_FORBIDDEN_HERE = frozenset({404, 405})


def before(event: Event) -> frozenset[State]:
    """Return the states in which an event may happen."""
    return TABLE[event][0]


def after(event: Event) -> State:
    """Return the state that an event leads to."""
    return TABLE[event][1]


def step(state: State, event: Event) -> State:
    """Return the state after an event.

    Raises:
        ValueError: the event cannot happen in this state.
    """
    if state not in before(event):
        raise ValueError(f"A version that is {state} cannot be told {event!r}.")
    return after(event)


def meaning(error: IngestError | None) -> Meaning:
    """Say what the answer to store-pages or stream-pages proves; None is the documented success.

    A 404 or 405 on a fixed path says that the address is wrong, not that the pages are: nothing further can work.
    """
    match error:
        case None:
            return "delivered"
        case FatalError():
            return "stop"
        case RefusedError():
            return "stop" if error.status in _FORBIDDEN_HERE else "refused"
        case RetryableError(applied="no"):
            return "not applied"
        case _:
            return "unknown"
