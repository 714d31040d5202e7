"""What the nightly flow makes of the runs of its sources."""

from __future__ import annotations

from prefect.states import Cancelled, Completed, Crashed, Failed

from connectors.settings import WebsiteSource
from flows.approvals import Decision, in_words
from flows.sync_knowledge_base import _verdict, summary_of, without_summary


def test_a_run_that_broke_off_with_an_error_is_not_told_as_a_stop_on_request():
    summary = {"name": "docs", **without_summary(Failed(message="AttributeError: no such thing"))}
    assert summary["problems"] == ["AttributeError: no such thing"]
    assert _verdict([summary], []).is_failed()


def test_a_run_that_was_cancelled_is_told_as_a_stop():
    assert _verdict([{"name": "docs", **without_summary(Cancelled())}], []).is_cancelled()


def test_a_source_that_failed_before_the_approval_still_fails_the_resumed_sync():
    before = [{"name": "docs", "state": "awaiting-approval"}, {"name": "wiki", "state": "failed", "problems": ["gone"]}]
    state = _verdict(before, [("docs: approve all: 3 removed, 0 updated.", True)], resumed=True)
    assert state.is_failed()
    assert state.message == "Not complete: wiki. The reports tell why. docs: approve all: 3 removed, 0 updated."


def test_an_approval_that_could_not_be_carried_out_whole_fails_the_sync():
    done = {"decision": Decision.APPROVE, "deleted": 2, "updated": 0, "failed": 1}
    assert in_words(done) == "approve all: 2 removed, 0 updated; 1 failed, the next sync asks again."
    assert _verdict([{"name": "docs", "state": "awaiting-approval"}], [(in_words(done), False)]).is_failed()


def test_a_resumed_sync_whose_question_was_settled_elsewhere_says_so():
    state = _verdict([{"name": "docs", "state": "awaiting-approval"}], [], resumed=True)
    assert state.is_completed()
    assert "decided elsewhere" in state.message


def test_an_address_that_is_not_on_the_list_is_told():
    done = {"decision": Decision.SOME, "deleted": 1, "updated": 0, "failed": 0, "unlisted": 1}
    assert in_words(done) == "approve some: 1 removed, 0 updated; 1 of the addresses are not on the list."


SOURCE = WebsiteSource(website="https://docs.example/", name="docs")
WROTE = {"name": "docs", "state": "completed", "pages": {"new": 3}}


def test_a_source_synced_by_another_worker_is_told_as_it_wrote_down():
    assert summary_of(SOURCE, Completed(), WROTE) == WROTE
    failed = WROTE | {"state": "failed", "problems": ["http-500"]}
    assert summary_of(SOURCE, Failed(message="docs: failed"), failed) == failed


def test_a_worker_that_crashed_is_no_success_whatever_the_last_run_wrote_down():
    told = summary_of(SOURCE, Crashed(message="its machine is gone"), WROTE)
    assert (told["state"], told["problems"]) == ("failed", ["its machine is gone"])


def test_a_run_that_wrote_nothing_down_is_told_by_its_state():
    assert summary_of(SOURCE, Completed(), None) == {"name": "docs", "state": "completed"}
    assert summary_of(SOURCE, Cancelled(), None)["state"] == "stopped"
