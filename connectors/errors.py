"""The error tree, named for what the caller does next.

    IngestError
    ├── RetryableError   nothing is wrong with what we asked: ask again, after `retry_after_s`
    ├── RefusedError     this request will never be accepted as it is: split it, change it, or set it aside
    ├── FatalError       nothing further can work: the API refuses us, the state cannot be
    │                    written, or there is no room for what waits to be sent (exit code 3)
    └── UsageError       the user must change a word of what was asked (exit code 2)

The text of each is one sentence that a person can act on. It never holds a secret.
"""

from __future__ import annotations

from typing import Literal

Applied = Literal["no", "unknown"]


class IngestError(Exception):
    """Anything this program raises on purpose."""


class RetryableError(IngestError):
    """It failed in a way that may pass.

    Attributes:
        applied: ``"no"`` when no byte of the request left us, so it surely had no effect;
            ``"unknown"`` when the other side may have carried it out.
        retry_after_s: how long the other side asked us to wait; None when it did not say.
        status: the HTTP status, when there was one.
    """

    def __init__(
        self,
        message: str,
        *,
        applied: Applied = "unknown",
        retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.applied: Applied = applied
        self.retry_after_s = retry_after_s
        self.status = status


class RefusedError(IngestError):
    """The other side understood and said no (400, 404, 413, 422): the same request fails again.

    Attributes:
        status: the HTTP status, or None where the refusal has none.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class FatalError(IngestError):
    """Nothing further can work: the run stops, no attempt is burned, and the same command goes on from there.

    The API refuses us (401, 403), the state cannot be written, another process took the source over, or the outbox
    is full and the API takes nothing of it.
    """


class UsageError(IngestError):
    """A wrong option, file or address: what was wrong, and what would be right."""


def unexpected(error: BaseException) -> str:
    """Return what is said of an error that nobody raised on purpose, and what to do about it."""
    if isinstance(error, OSError):
        return f"The system says: {error}. Check free space and permissions of the state folder."
    return f"Unexpected {type(error).__name__}: {error}. This is a bug; run again with --debug and report it."


def in_words(error: Exception) -> str:
    """Return what is said of any error: its own sentence where it was raised on purpose."""
    return str(error) if isinstance(error, IngestError) else unexpected(error)
