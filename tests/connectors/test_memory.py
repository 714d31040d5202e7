"""What a large page took goes back to the system."""

from __future__ import annotations

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


def test_a_function_that_the_c_library_does_not_have_does_nothing():
    assert memory._of_glibc("no_such_function_in_any_library")(1) is None
