from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from flows.step_events import StepEvents, moment, new_id

ABOUT = [{"prefect.resource.id": "prefect.flow-run.1", "prefect.resource.role": "flow-run"}]


@given(st.floats(1.7e9, 2.0e9), st.floats(-1, 1000))
def test_no_two_states_of_a_task_run_share_their_microsecond(begun_at, took_s):
    # The server's index allows none; with one of them it refuses all that it is told together.
    step = StepEvents(name="verify", kind="verify", key="1", begun_at=begun_at, about=ABOUT)
    told = [*step.begun(), step.ended(good=True, words="So it was.", at=begun_at + took_s)]
    times = [one["occurred"] for one in told]
    assert times == sorted(set(times))
    assert [one["resource"]["prefect.state-timestamp"] for one in told] == times
    assert [one.get("follows") for one in told][1] == told[0]["id"]
    assert told[-1]["payload"]["task_run"]["total_run_time"] > 0


def test_a_time_is_written_to_the_microsecond():
    assert moment(1_800_000_000) == "2027-01-15T08:00:00.000000+00:00"
    assert moment(1_800_000_000.25) == "2027-01-15T08:00:00.250000+00:00"


def test_ids_sort_by_time_and_are_of_version_7():
    ids = [new_id() for _ in range(3)]
    assert {uuid.UUID(one).version for one in ids} == {7}
    assert {uuid.UUID(one).variant for one in ids} == {uuid.RFC_4122}
    assert ids == sorted(ids)
