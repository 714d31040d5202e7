"""A PDF's outline, met in its text: which line is which heading. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBERED = re.compile(r"^(?:[Cc]hapter\s+|[Ss]ection\s+|[Pp]art\s+|[Aa]ppendix\s+)?(?:\d+|[A-Z])(?:\.\d+)*[.:)]?\s+")
_AHEAD = 40  # bookmarks that are looked at from where the text has come to


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """One entry: its level from 0, its title, and the place of its page from 0 (-1 when it does not say)."""

    level: int
    title: str
    page: int = -1


class Outline:
    """The bookmarks in order, and how far the text has come."""

    def __init__(self, marks: Sequence[Bookmark]) -> None:
        top = min((mark.level for mark in marks), default=0)
        self._marks = [(mark.level - top, mark.page, _forms(mark.title)) for mark in marks]
        self._all = {form for _, _, forms in self._marks for form in forms}
        self._at = 0

    @property
    def rules(self) -> bool:
        """Say whether the outline decides what is a heading: it has enough of them."""
        return len(self._marks) > 3  # noqa: PLR2004 - fewer are no table of contents

    def next(self, line: str, page: int) -> int | None:
        """Return the level (from 0) of the bookmark that a line is the heading of, and move on to it."""
        found = self._find(line, page)
        if found is None:
            return None
        self._at = found + 1
        return self._marks[found][0]

    def has(self, line: str) -> bool:
        """Say whether a line is in the outline, wherever."""
        return any(form in self._all for form in _forms(line))

    def _find(self, line: str, page: int) -> int | None:
        if not line or len(line) > 250:  # noqa: PLR2004 - longer than any heading
            return None
        forms = _forms(line)
        for place in range(self._at, min(self._at + _AHEAD, len(self._marks))):
            _, where, titles = self._marks[place]
            if where in {page, page - 1, -1} and any(form in titles for form in forms):
                return place
        return None


def _forms(title: str) -> tuple[str, ...]:
    """Return how a title may stand in the text: with its number and without."""
    told = " ".join(title.replace("\xa0", " ").split())
    whole = re.sub(r"\W+", "", told).casefold()
    bare = re.sub(r"\W+", "", _NUMBERED.sub("", told)).casefold()
    return tuple(form for form in dict.fromkeys((whole, bare)) if form)
