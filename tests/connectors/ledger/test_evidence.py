"""Absent is not gone: what counts as evidence, and when a person must agree."""

from __future__ import annotations

import pytest

from connectors.ledger.evidence import Evidence, empties, looks_like_a_redesign, sighting, too_many_deletions, weigh


def saw(**more):
    return sighting(**({"seen": False, "visited": True, "rule": "", "complete": True, "lists_all": True} | more))


@pytest.mark.parametrize(
    ("what", "sees"),
    [
        ({"seen": True}, "seen"),
        ({"rule": "http-404"}, "gone"),
        ({"rule": "http-410"}, "gone"),
        ({"rule": "redirect"}, "gone"),
        ({"rule": "canonical"}, "gone"),
        ({"rule": "deleted"}, "deleted"),
        ({"rule": "http-500"}, "unclear"),
        ({"rule": "timeout"}, "unclear"),
        ({"rule": "robots"}, "unclear"),
        ({"rule": "not-reached"}, "unclear"),
        ({"visited": False}, "absent"),
        ({"visited": False, "complete": False}, "unclear"),
        ({"visited": False, "lists_all": False}, "unclear"),
    ],
)
def test_a_run_sees(what, sees):
    assert saw(**what) == sees


@pytest.mark.parametrize(
    ("nights", "proves"),
    [
        (["gone"], False),
        (["gone", "gone"], True),
        (["gone", "seen", "gone"], False),
        (["gone", "unclear", "gone"], True),
        (["absent"], False),
        (["absent", "absent"], True),
        (["absent", "gone"], False),
        (["unclear"] * 9, False),
        (["deleted"], True),
    ],
)
def test_it_takes_two_runs_that_agree(nights, proves):
    evidence = Evidence()
    for night in nights:
        evidence = weigh(evidence, night)
    assert evidence.proves is proves


@pytest.mark.parametrize(
    ("gone", "pages", "asks"), [(5, 10, False), (6, 10, True), (6, 60, False), (7, 60, True), (0, 0, False)]
)
def test_a_person_is_asked_above_five_pages_and_a_tenth(gone, pages, asks):
    assert too_many_deletions(gone, pages=pages) is asks


@pytest.mark.parametrize(("gone", "pages", "asks"), [(0, 0, False), (1, 1, True), (4, 5, False), (5, 5, True)])
def test_a_person_is_asked_before_nothing_is_left_however_little_there_was(gone, pages, asks):
    assert empties(gone, pages=pages) is asks


@pytest.mark.parametrize(("halved", "pages", "asks"), [(5, 5, False), (6, 30, False), (7, 30, True)])
def test_a_fifth_of_the_pages_halved_looks_like_a_redesign(halved, pages, asks):
    assert looks_like_a_redesign(halved, pages=pages) is asks
