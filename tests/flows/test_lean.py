"""What is left out of the companion's Prefect changes nothing that is used, and Prefect comes whole where it must."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.following import companion, hear, messages, say

TELL = """
import json, sys
if {lean}:
    from flows import lean
    lean.prepare(serving={serving})
from prefect.settings import get_current_settings as current
ways = {{}}, {{"include_aliases": True}}, {{"exclude_unset": True}}
told = [current().to_environment_variables(**how) for how in ways]
told += [current().copy_with_update().to_environment_variables(), current().model_dump(mode="json")]
print(json.dumps(told, default=str, sort_keys=True))
"""


def told(*, lean, serving=False):
    code = TELL.format(lean=lean, serving=serving)
    env = os.environ | {"PREFECT_LOGGING_LEVEL": "ERROR", "PREFECT_API_URL": "http://127.0.0.1:1/api"}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


@pytest.mark.parametrize("serving", [False, True])
def test_settings_tell_the_same_environment(serving):
    assert told(lean=True, serving=serving) == told(lean=False)


def test_who_asks_a_stand_in_for_more_than_its_name_hears_so():
    code = "from flows import lean; lean.prepare(serving=False)\nimport graphviz; graphviz.Digraph()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "graphviz.Digraph is left out of this process" in ended.stderr


def test_where_prefect_cannot_be_imported_in_part_it_is_imported_whole(prefect_api, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['flows.lean'] = None\n")
    settings = {"PREFECT_API_URL": prefect_api, "PREFECT_HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    settings["PREFECT_CLIENT_MAX_RETRIES"] = "4"  # for Prefect's own client
    with companion(**settings) as process:
        say(process, messages("whole.example"))
        assert hear(process) == {"following": True}
        assert hear(process) == {"done": ""}
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
        assert b"whole" in command
        process.stdin.close()
        assert process.wait(30) == 0
