"""What `persona-ingest ui` gives to the server and the worker that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import pytest

from connectors.errors import FatalError
from flows.local_ui import own_temporary_files, schedule, wait_for_worker, worker_lives


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to somebody else")
def test_a_worker_keeps_its_files_to_itself_where_another_user_has_had_one(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert own_temporary_files(tmp_path) == {}
    shared = tmp_path / "runner_storage"
    shared.mkdir()
    assert own_temporary_files(tmp_path) == {}
    os.chown(shared, 65534, 65534)
    own = own_temporary_files(tmp_path)["TMPDIR"]
    assert os.stat(own).st_mode & 0o777 == 0o700  # noqa: PTH116 - a name as the environment has it
    assert own_temporary_files(tmp_path) == {"TMPDIR": own}


def started(code):
    return subprocess.Popen([sys.executable, "-c", code])


def test_a_worker_that_ends_soon_is_told_with_its_log(tmp_path):
    worker = started("import sys, time; time.sleep(0.2); sys.exit(3)")
    with pytest.raises(FatalError, match=r"ended with 3 .* see .*worker\.log"):
        wait_for_worker(worker, tmp_path / "worker.log", lambda: False)


def test_a_worker_that_has_reported_is_waited_for_no_more(tmp_path):
    worker = started("import time; time.sleep(60)")
    try:
        wait_for_worker(worker, tmp_path / "worker.log", lambda: True)
        assert worker.poll() is None
    finally:
        worker.kill()
        worker.wait()


def test_a_server_whose_worker_has_ended_is_not_said_to_run(tmp_path):
    ended = started("")
    ended.wait()
    assert not worker_lives({"pids": [ended.pid, os.getpid()]})


def test_the_schedule_is_told_with_its_time_zone():
    assert schedule() == "0 2 * * * Europe/Berlin"
