"""What the nightly flow makes of the runs of its sources."""

from __future__ import annotations

from prefect.states import Cancelled, Failed

from flows.sync_knowledge_base import _verdict, without_summary


def test_a_run_that_broke_off_with_an_error_is_not_told_as_a_stop_on_request():
    summary = {"name": "docs", **without_summary(Failed(message="AttributeError: no such thing"))}
    assert summary["problems"] == ["AttributeError: no such thing"]
    assert _verdict([summary], []).is_failed()


def test_a_run_that_was_cancelled_is_told_as_a_stop():
    assert _verdict([{"name": "docs", **without_summary(Cancelled())}], []).is_cancelled()
