"""Memory that was used once goes back to the system: by itself the allocator keeps what a large page took."""

from __future__ import annotations

import contextlib
import functools
import gc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LARGE = 256 * 1024
"""Bytes: what an item over this took is given back to the system at once."""
_M_ARENA_MAX = -8
_OBJECTS = 3_000
_OBJECTS_OF_A_START = 50_000


def share_arenas(most: int = 2) -> None:
    """Let the threads that start from now on share few heaps: in one of its own, each would keep what it once used."""
    _of_glibc("mallopt")(_M_ARENA_MAX, most)


def collect_hardly() -> None:
    """Look for cycles once in 50,000 new objects: the modules that a start imports are many, and hold hardly one."""
    gc.set_threshold(_OBJECTS_OF_A_START)


@functools.cache
def collect_rarely() -> None:
    """Look for cycles once in 3,000 new objects, and never among those that are there by now: modules, mostly.

    It happens once a process, lest one of many runs kept the garbage of each.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS, 5, 5)


def give_back() -> None:
    """Return what is free to the system: a few milliseconds, for tens of megabytes."""
    _of_glibc("malloc_trim")(0)


@functools.cache
def _of_glibc(name: str) -> Callable[..., Any]:
    """Return a function of the C library; one that does nothing where that is another library or system."""
    import ctypes

    with contextlib.suppress(AttributeError, OSError, TypeError):
        function: Callable[..., Any] = getattr(ctypes.CDLL(None), name)
        return function
    return lambda *_: None
