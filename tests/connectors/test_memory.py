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
    was, there = gc.get_threshold(), [[]]
    there.append(there)
    try:
        memory.collect_rarely()
        assert gc.get_threshold()[0] > was[0]
        assert not any(seen is there for seen in gc.get_objects())
    finally:
        gc.unfreeze()
        gc.set_threshold(*was)


def test_a_function_that_the_c_library_does_not_have_does_nothing():
    assert memory._of_glibc("no_such_function_in_any_library")(1) is None
