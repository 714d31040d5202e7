"""Compiled modules are kept in a folder of the user's own where the environment forbids to keep them elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = "import sys; from flows import bytecode; bytecode.keep(); import colorsys; print(sys.pycache_prefix)"


def run(home, **environment):
    kept = {"PATH": os.environ["PATH"], "HOME": str(home), **environment}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=kept, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_without_leave_to_write_beside_the_sources_a_cache_of_our_own_is_used(tmp_path):
    folder = run(tmp_path, PYTHONDONTWRITEBYTECODE="1")
    assert folder.startswith(str(tmp_path / ".cache"))
    assert list((tmp_path / ".cache").rglob("colorsys*.pyc"))


def test_where_python_caches_by_itself_nothing_changes(tmp_path):
    assert run(tmp_path) == "None"
    assert not (tmp_path / ".cache").exists()


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path):
    folder = run(tmp_path, PYTHONDONTWRITEBYTECODE="1")
    Path(folder).chmod(0o777)
    assert run(tmp_path, PYTHONDONTWRITEBYTECODE="1") == "None"


def test_a_command_keeps_what_it_imports_first_too(tmp_path):
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": str(tmp_path)}
    env.pop("PYTHONPYCACHEPREFIX", None)
    subprocess.run([sys.executable, "-m", "flows.cli", "--help"], env=env, check=True, capture_output=True)
    kept = {path.parent.name for path in tmp_path.rglob("core.*.pyc")}
    assert "click" in kept
