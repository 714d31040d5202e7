from __future__ import annotations

import time

from connectors.pipeline.stopwatch import Stopwatch


def test_what_goes_on_side_by_side_counts_once():
    watch, began = Stopwatch(), time.perf_counter()
    with watch.running(), watch.running(), watch.running():
        time.sleep(0.05)
    took = time.perf_counter() - began
    assert 0.05 <= watch.seconds <= took


def test_what_comes_later_is_added_and_the_time_between_is_not():
    watch = Stopwatch()
    with watch.running():
        pass
    first = watch.seconds
    time.sleep(0.05)
    began = time.perf_counter()
    with watch.running():
        time.sleep(0.01)
    assert first + 0.01 <= watch.seconds <= first + time.perf_counter() - began
