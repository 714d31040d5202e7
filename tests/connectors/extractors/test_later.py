"""A cleaner's start: what libraries bring along is read when it is asked for, and not before."""

from __future__ import annotations

import subprocess
import sys


def _said(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_module_that_is_put_off_is_read_when_something_of_it_is_asked_for() -> None:
    program = """
import sys
from connectors.extractors.later import put_off
put_off("colorsys")
import colorsys
before = "ONE_THIRD" in vars(colorsys)
print(before, colorsys.rgb_to_hsv(0, 0, 0))
"""
    assert _said(program) == "False (0.0, 0.0, 0)"


def test_a_module_that_is_there_stays_as_it_is_and_one_that_does_not_exist_is_left_out() -> None:
    program = """
import sys, json
from connectors.extractors.later import put_off
put_off("json", "no_such_module_of_ours")
print(sys.modules["json"] is json, "no_such_module_of_ours" in sys.modules)
"""
    assert _said(program) == "True False"


def test_a_cleaner_starts_without_what_it_hardly_ever_uses() -> None:
    program = """
import sys
import connectors.extractors.worker as worker
worker.work.preload()
print(sorted({"ast", "dis", "socket", "linecache", "textwrap", "trafilatura", "py3langid"} & set(sys.modules)))
"""
    assert _said(program) == "[]"
