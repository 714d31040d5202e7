"""What `persona-ingest ui` gives to the server and the worker that it starts."""

from __future__ import annotations

import os
import tempfile

import pytest

from flows.local_ui import own_temporary_files


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
