"""A bug in one source of a sync: the others run, the exit code is 1, the state is named, the next sync goes on."""

import json
import os
import subprocess
import sys

import pytest

# A file system of fsspec's, as a plug-in would bring it, whose listing or reading is wrong while a file is there.
PLUG = """
import sys
from pathlib import Path
import fsspec
from fsspec.implementations.memory import MemoryFileSystem

class Faulty(MemoryFileSystem):
    protocol = "memory"
    def find(self, path, **kwargs):
        found = super().find(path, **kwargs)
        if Path(sys.argv[1], "faulty").exists():
            found["/plug/z.txt"] = {"name": "/plug/z.txt", "size": "a lot"}
        return found

fsspec.register_implementation("memory", Faulty, clobber=True)
Faulty().pipe_file("/plug/a.txt", b"What the plug has to say about a, in enough words.")
from flows.cli import main
main(sys.argv[2:])
"""
SOURCES = """
sources:
  - name: faulty
    documents: memory://plug
    no-prompts: true
  - name: good
    documents: ./good
    no-prompts: true
"""


@pytest.fixture
def sync(tmp_path):
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "b.txt").write_text("What the good source has to say about b, in enough words.")
    (tmp_path / "sources.yaml").write_text(SOURCES)

    def run():
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT", "PERSONA"))}
        env |= {"PERSONA_INGEST_STATE": str(tmp_path / "state"), "PREFECT_HOME": str(tmp_path / "home")}
        command = [sys.executable, "-c", PLUG, str(tmp_path), "sync", "--config", str(tmp_path / "sources.yaml")]
        done = subprocess.run([*command, "--json"], capture_output=True, text=True, env=env, timeout=150, check=False)
        return done.returncode, json.loads(done.stdout)["sources"], done.stderr

    return run


def test_the_other_sources_run_and_the_next_sync_has_everything(sync, tmp_path):
    (tmp_path / "faulty").touch()
    code, (faulty, good), err = sync()
    assert (code, faulty["state"], good["state"]) == (1, "failed", "completed"), err
    assert "Unexpected ValueError" in faulty["problems"][0]
    assert "ValueError" in err
    assert faulty["verified"] == 1, "what was read before the fault is delivered"
    assert good["verified"] == 1
    (tmp_path / "faulty").unlink()
    code, (faulty, good), err = sync()
    assert (code, faulty["state"], faulty["verified"]) == (0, "completed", 1), err
