"""The picture of a source's last nights: three rows of bars, an SVG inside the report."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WIDTH, _ROW, _BARS, _LEFT, _RIGHT, _TOP = 760, 112, 64, 16, 64, 16
_SPAN = _WIDTH - _LEFT - _RIGHT
_FEW = 12  # a bar is never wider than if there were so many
_DAY = 96  # the width of a day's label and the air around it
_FAR = 4  # a bar so many times the next highest is cut: a first import would flatten every other night
_ROWS = (
    ("pages", "Pages read back from the knowledge base", "#1d4ed8"),
    ("changes", "Changes: new, changed, gone", "#b45309"),
    ("failures", "Failures: URLs and quarantined pages", "#b91c1c"),
)


def nights_svg(nights: Sequence[Mapping[str, Any]]) -> str:
    """Return pages, changes and failures by run, the oldest on the left; only numbers and days stand in it."""
    height = _TOP + len(_ROWS) * _ROW + 24
    size = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
    ]
    for place, (column, title, colour) in enumerate(_ROWS):
        values = [int(night[column]) for night in nights]
        parts += _row(values, title=title, colour=colour, top=_TOP + place * _ROW)
    parts += _days([str(night["day"]) for night in nights], y=height - 12)
    return "".join([*parts, "</svg>"])


def _row(values: Sequence[int], *, title: str, colour: str, top: int) -> list[str]:
    """Return one row: its title, a line at zero, a bar a night, and the last night's number beside its bar."""
    most, full, base, end = max(values, default=0), _full(values), top + 24 + _BARS, _LEFT + _SPAN
    out = [
        f'<text x="{_LEFT}" y="{top + 12}" fill="#111827" font-weight="600">{title}</text>',
        f'<text x="{end}" y="{top + 12}" fill="#6b7280" text-anchor="end">most {most}</text>',
        f'<line x1="{_LEFT}" y1="{base}" x2="{end}" y2="{base}" stroke="#d1d5db"/>',
    ]
    for place, value in enumerate(values):
        x, width = _place(place, len(values))
        tall = max(2.0, _BARS * min(1.0, value / full)) if value else 0.0
        out.append(f'<rect x="{x:.1f}" y="{base - tall:.1f}" width="{width:.1f}" height="{tall:.1f}" fill="{colour}"/>')
        if value > full:
            cut = f"M{x - 2:.1f} {base - 46} l{width + 4:.1f} -6"
            out.append(f'<path d="{cut}" stroke="#ffffff" stroke-width="4"/>')
    if values:
        x, width = _place(len(values) - 1, len(values))
        out.append(
            f'<text x="{x + width + 8:.1f}" y="{base - 2}" fill="{colour}" font-weight="600">{values[-1]}</text>'
        )
    return out


def _full(values: Sequence[int]) -> float:
    """Return the number at a row's full height: the highest, unless it stands far above all others."""
    highest, second = sorted([*values, 0, 0], reverse=True)[:2]
    return 1.3 * second if second and highest > _FAR * second else max(highest, 1)


def _place(place: int, count: int) -> tuple[float, float]:
    """Return where a bar begins and how wide it is."""
    step = _SPAN / max(count, _FEW)
    return _LEFT + place * step + step * 0.1, step * 0.8


def _days(days: Sequence[str], *, y: int) -> list[str]:
    """Return the last day under its bar, and the first and the middle one where there is room for them."""
    out: list[str] = []
    free_to = float(_WIDTH)
    for place in sorted({0, len(days) // 2, len(days) - 1} if days else (), reverse=True):
        x, width = _place(place, len(days))
        middle = max(x + width / 2, _LEFT + _DAY / 2 - 8)
        if middle + _DAY / 2 <= free_to:
            out.append(f'<text x="{middle:.1f}" y="{y}" fill="#6b7280" text-anchor="middle">{days[place]}</text>')
            free_to = middle - _DAY / 2
    return out


def as_address(svg: str) -> str:
    """Return the picture as an address that holds it; SVG between the words Prefect's Markdown takes apart."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
