"""The time, where nobody brings another clock."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the time now, aware, UTC."""
    return datetime.now(tz=UTC)
