"""A test for each row of both tables of the delivery page: states, and what an answer means."""

from __future__ import annotations

from typing import get_args

import pytest

from connectors.errors import FatalError, RefusedError, RetryableError
from connectors.ledger.transitions import TABLE, Event, State, after, before, meaning, step

ROWS = [
    ("pending", "intend", "sent"),
    ("sent", "succeed", "delivered"),
    ("sent", "not applied", "pending"),
    ("sent", "found", "delivered"),
    ("sent", "not found", "pending"),
    ("sent", "refused alone", "quarantined"),
    ("quarantined", "release", "pending"),
    ("quarantined", "found", "delivered"),
    ("delivered", "seen once", "verified"),
    ("verified", "seen once", "verified"),
    ("delivered", "missing", "pending"),
    ("verified", "missing", "pending"),
    ("pending", "intend update", "updating"),
    ("updating", "intend update", "updating"),
    ("updating", "updated", "delivered"),
    ("updating", "update lost its item", "pending"),
    ("updating", "update refused", "quarantined"),
    ("verified", "replace", "replaced"),
    ("verified", "intend delete", "deleting"),
    ("deleting", "intend delete", "deleting"),
    ("deleting", "deleted", "deleted"),
    ("pending", "supersede", "superseded"),
    ("duplicate", "promote", "pending"),
]


@pytest.mark.parametrize(("state", "event", "result"), ROWS)
def test_an_event_leads_where_the_table_says(state, event, result):
    assert step(state, event) == result


@pytest.mark.parametrize(
    ("state", "event"),
    [
        ("sent", "intend"),  # what may have arrived is never sent again unseen
        ("sent", "supersede"),
        ("sent", "intend update"),
        ("delivered", "intend"),
        ("verified", "intend"),
        ("quarantined", "intend"),
        ("deleted", "missing"),
        ("pending", "succeed"),
        ("pending", "seen once"),
    ],
)
def test_what_would_lose_or_double_a_page_is_no_transition(state, event):
    with pytest.raises(ValueError, match="cannot be told"):
        step(state, event)


def test_only_a_pending_version_may_be_sent():
    assert before("intend") == {"pending"}
    assert [event for event in get_args(Event) if after(event) == "sent"] == ["intend"]


def test_every_state_can_be_reached_and_every_event_has_a_row():
    assert set(TABLE) == set(get_args(Event))
    assert {after(event) for event in TABLE} | {"duplicate"} == set(get_args(State))


@pytest.mark.parametrize(
    ("error", "means"),
    [
        (None, "delivered"),
        (RetryableError("refused connection", applied="no"), "not applied"),
        (RefusedError("bad", status=400), "refused"),
        (RefusedError("large", status=413), "refused"),
        (RefusedError("poison", status=422), "refused"),
        (RefusedError("no JSON"), "refused"),
        (RefusedError("no such path", status=404), "stop"),
        (FatalError("401"), "stop"),
        (RetryableError("500", status=500), "unknown"),
        (RetryableError("time-out"), "unknown"),
        (RetryableError("429", status=429, retry_after_s=3), "unknown"),
    ],
)
def test_an_answer_means_what_the_table_says(error, means):
    assert meaning(error) == means
