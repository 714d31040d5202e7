"""What is seen on a PDF's page: its lines, and the pieces of one that stand apart. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of a line that stands apart from its neighbours."""

    text: str
    left: float
    right: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a page; coordinates in points, ``top`` above ``bottom``; ``cells`` where it has more than one."""

    text: str
    mono: bool = False
    size: float = 10.0
    left: float = 0.0
    right: float = 0.0
    top: float = 0.0
    bottom: float = 0.0
    cells: tuple[Cell, ...] = ()

    @property
    def char(self) -> float:
        """The mean width of a character."""
        return (self.right - self.left) / max(1, len(self.text.strip()))
