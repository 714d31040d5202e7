"""What was seen, what is due, and what became of it."""

from connectors.ledger.store import Ledger, open_ledger
from connectors.ledger.values import (
    BatchRow,
    Counts,
    Failure,
    Held,
    PageRow,
    Purpose,
    Run,
    RunRow,
    SourceStatus,
    Verdict,
    Visit,
)

__all__ = [
    "BatchRow",
    "Counts",
    "Failure",
    "Held",
    "Ledger",
    "PageRow",
    "Purpose",
    "Run",
    "RunRow",
    "SourceStatus",
    "Verdict",
    "Visit",
    "open_ledger",
]
