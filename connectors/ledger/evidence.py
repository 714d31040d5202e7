"""When a page counts as gone: absent is not gone. Pure rules; the ledger counts, the pipeline acts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Sighting = Literal["seen", "gone", "deleted", "absent", "unclear"]

RUNS: Final = 2
_FEW: Final = 5
_GONE_RULES: Final = frozenset(
    {"http-404", "http-410", "redirect", "redirect-out-of-scope", "canonical", "noindex", "excluded", "not-included"}
)
"""The address answered, or the site or the operator said, that there is no page of its own (any more)."""
TOLD_ANYWAY: Final = _GONE_RULES | {"duplicate"}
"""Rules under which a page's links were heard all the same, or were to go with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """In how many runs a page answered that it is gone, and in how many complete crawls nothing named it."""

    gone_runs: int = 0
    absent_runs: int = 0

    @property
    def proves(self) -> bool:
        """Whether the page has vanished."""
        return self.gone_runs >= RUNS or self.absent_runs >= RUNS


def sighting(*, seen: bool, visited: bool, rule: str, complete: bool, lists_all: bool, exact: bool = False) -> Sighting:
    """Say what one run saw of a page.

    Args:
        seen: the run found the page where it was.
        visited: the run met the page's address at all.
        rule: under which the address was passed over or failed; empty when it was read.
        complete: the run saw the whole source.
        lists_all: the source names everything it has; a feed names only the newest.
        exact: the list is of one revision and cannot lack what is there (git).
    """
    if seen:
        return "seen"
    if visited:
        if rule == "deleted":
            return "deleted"
        return "gone" if rule in _GONE_RULES or not rule else "unclear"
    if not (complete and lists_all):
        return "unclear"
    return "deleted" if exact else "absent"


def weigh(before: Evidence, seen: Sighting) -> Evidence:
    """Return the evidence after one more run; an error, a robots rule or an incomplete crawl changes nothing."""
    match seen:
        case "seen":
            return Evidence()
        case "gone":
            return Evidence(gone_runs=before.gone_runs + 1, absent_runs=before.absent_runs)
        case "deleted":
            return Evidence(gone_runs=RUNS, absent_runs=before.absent_runs)
        case "absent":
            return Evidence(gone_runs=before.gone_runs, absent_runs=before.absent_runs + 1)
        case "unclear":
            return before


def too_many_deletions(vanished: int, *, pages: int) -> bool:
    """Say whether a person must agree first: more than five pages, and more than one in ten."""
    return vanished > _FEW and vanished * 10 > pages


def empties(vanished: int, *, pages: int) -> bool:
    """Say whether nothing would be left of a source that has pages, however few: a person must agree then, too."""
    return 0 < pages <= vanished


def looks_like_a_redesign(halved: int, *, pages: int) -> bool:
    """Say whether so many pages lost half their text at once that the extraction probably broke."""
    return halved > _FEW and halved * 5 > pages
