"""What we install: no GPL or AGPL, every file by its hash, and no registry's name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def check(tmp_path, terms):
    """Run the licence check of CI as if one more distribution were installed."""
    folder = tmp_path / "newcomer-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: newcomer\nVersion: 1.0\n{terms}\n")
    return subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "licences.py")],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "terms",
    [
        "License: GPLv3",
        "License-Expression: AGPL-3.0-or-later",
        "License-Expression: GPL-2.0-only AND MIT",
        "License: GNU General Public License, use is permitted without limits",
        "Classifier: License :: OSI Approved :: GNU Affero General Public License v3",
    ],
)
def test_a_package_under_the_gpl_fails_the_licence_check(tmp_path, terms):
    done = check(tmp_path, terms)
    assert done.returncode == 1
    assert done.stderr.startswith("newcomer:")


@pytest.mark.parametrize(
    "terms",
    ["License-Expression: MIT", "License-Expression: GPL-2.0-only OR Apache-2.0", "License: LGPL-3.0-or-later"],
)
def test_what_we_may_use_passes_the_licence_check(tmp_path, terms):
    done = check(tmp_path, terms)
    assert done.returncode == 0, done.stderr


def test_every_requirement_of_the_lock_has_its_version_and_hashes_and_no_registry_is_named():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = [block for block in re.split(r"\n(?=\S)", text) if not block.startswith("#")]
    assert len(entries) > 50
    assert [entry.split("\n")[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert re.search(r"https?://|index-url|find-links", text) is None
