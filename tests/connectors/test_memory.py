"""What a large page took goes back to the system."""

from __future__ import annotations

import gc
import sys

import pytest

from connectors import memory
from connectors.extractors.confine import resident

MEGABYTE = 1024**2


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told")
def test_what_many_small_pieces_took_goes_back_to_the_system():
    pieces = [bytes(2000) for _ in range(20_000)]  # too large for Python's own pools, too small for pages of their own
    last = bytes(2000)  # it stands behind them, so that the heap cannot end before it
    full = resident()
    del pieces
    memory.give_back()
    assert resident() < full - 25 * MEGABYTE
    assert len(last) == 2000


def test_garbage_is_looked_for_rarely_and_not_among_what_is_there():
    was, there, later = gc.get_threshold(), [[]], [[]]
    gc.set_threshold(700, 10, 10)  # other tests of this process may have run before
    memory.collect_rarely.cache_clear()
    try:
        memory.collect_rarely()
        assert gc.get_threshold()[0] > 700
        assert not _looked_at(there)
        gc.unfreeze()
        memory.collect_rarely()
        assert _looked_at(later), "a process of many runs freezes once, not with each of them"
    finally:
        gc.unfreeze()
        gc.set_threshold(*was)


def _looked_at(wanted):
    return any(seen is wanted for seen in gc.get_objects())


def test_a_function_that_the_c_library_does_not_have_does_nothing():
    assert memory._of_glibc("no_such_function_in_any_library")(1) is None
