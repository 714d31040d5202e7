"""The embedded knowledge base on disk: whole batches, several processes, crashes, cut items."""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import FatalError
from connectors.persona.server import text
from connectors.persona.server.search import search
from connectors.persona.server.store import Store, StoredPage, item_name, item_number

ROOT = Path(__file__).resolve().parents[4]


def stored(number: int, words: str = "") -> StoredPage:
    return StoredPage(title=f"Page {number}", content=f"# Page {number}\n\n{words or f'word{number}'}\n", metadata={})


def begin(call: str) -> subprocess.Popen[bytes]:
    """Call a function of this file in a process of its own."""
    code = f"from pathlib import Path; from tests.connectors.persona.server import test_store as here; here.{call}"
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)


def add(folder, name, count):
    store = Store(folder)
    for number in range(count):
        store.add_pages([stored(number, f"{name} {number} {half}") for half in ("a", "b")])
    store.close()


def test_processes_that_start_and_write_at_once_lose_nothing(tmp_path):
    workers = [begin(f"add(Path({str(tmp_path)!r}), 'w{n}', 10)") for n in range(3)]
    assert [worker.wait(120) for worker in workers] == [0, 0, 0]
    store = Store(tmp_path)
    items = list(store.items())
    assert len(items) == 60
    contents = [content for _, content in items]
    assert all(a.replace(" a\n", " b\n") == b for a, b in zip(contents[::2], contents[1::2], strict=True))
    store.close()


def add_for_ever(folder):
    store = Store(folder)
    number = 0
    while True:
        store.add_pages([stored(number, f"batch{number} {n}") for n in range(7)])
        number += 1


def test_a_killed_process_leaves_whole_batches_and_a_sound_index(tmp_path):
    worker = begin(f"add_for_ever(Path({str(tmp_path)!r}))")
    store = Store(tmp_path)
    ends_at = time.monotonic() + 60
    while sum(1 for _ in store.items()) < 70 and time.monotonic() < ends_at:
        time.sleep(0.05)
    worker.kill()
    worker.wait()
    count = sum(1 for _ in store.items())
    assert count >= 70
    assert count % 7 == 0
    with store.reading() as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert search(db, f"batch{count // 7 - 1}")
    store.close()


def test_a_reader_sees_one_state_while_others_write(tmp_path):
    store = Store(tmp_path)
    store.add_pages([stored(n) for n in range(5)])
    items = store.items()
    next(items)
    store.add_pages([stored(9)])
    store.delete_item(item_name(5))
    assert len(list(items)) == 4
    assert len(list(store.items())) == 5
    store.close()


def test_search_follows_updates_and_deletions(tmp_path):
    store = Store(tmp_path)
    store.add_pages([stored(1, "zebra"), stored(2, "giraffe")])

    def found(word):
        with store.reading() as db:
            return [hit.item for hit in search(db, word)]

    assert found("zebra") == [item_name(1)]
    assert store.update_item(item_name(1), "# Page 1\n\nokapi 日本語 \x00 end")
    assert (found("zebra"), found("okapi"), found("日本")) == ([], [item_name(1)], [item_name(1)])
    assert store.delete_item(item_name(1))
    assert (found("okapi"), found("giraffe")) == ([], [item_name(2)])
    with store.reading() as db:
        assert db.execute("SELECT count(*) FROM pages").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM passages").fetchone() == (1,)
    store.close()


def test_a_vendor_may_cut_pages_into_items(tmp_path):
    store = Store(tmp_path, max_item_chars=50)
    content = "Source: http://x/\n\n# A title\n\n" + "Some words in a row. " * 20
    store.add_pages([StoredPage(title="t", content=content, metadata={})])
    parts = [part for _, part in store.items()]
    assert "".join(parts) == content
    assert max(map(len, parts)) <= 50
    store.close()


@given(st.text(alphabet=st.sampled_from("ab \n."), max_size=200), st.integers(1, 40))
def test_cut_items_are_the_content_exactly(content, most):
    parts = text.cut_items(content, most)
    assert "".join(parts) == content
    assert all(0 < len(part) <= most for part in parts) or content == ""


@given(st.text(alphabet=st.sampled_from("a#`~ \n\r"), max_size=300))
def test_sections_cover_the_content_in_order(content):
    at = text.body_start(content)
    for section in text.sections(content):
        assert at <= section.starts < section.ends
        assert not content[at : section.starts].strip()
        at = section.ends
    assert not content[at:].strip()


def test_headings_in_code_are_no_headings():
    found = text.sections("# T\n\n## Real\n\n```sh\n# comment\n```\n\n## Next\n\nx\n")
    assert [section.heading for section in found] == ["", "Real", "Next"]


@pytest.mark.parametrize(
    "name", ["", "data-1", "data-00000000001", "data-000000000x", "data-" + "\u0660" * 10, "1", "data-"]
)
def test_only_our_ids_are_ids(name):
    assert item_number(name) is None
    assert item_number(item_name(42)) == 42


def test_a_folder_that_cannot_be_made_is_fatal_with_a_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(FatalError, match="cannot be written"):
        Store(tmp_path / "file" / "state")


def test_a_file_that_is_no_database_is_fatal_with_a_sentence(tmp_path):
    (tmp_path / "knowledge-base.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(FatalError, match="cannot be written"):
        Store(tmp_path)


def test_a_database_of_a_newer_program_is_left_alone(tmp_path):
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "knowledge-base.sqlite3") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(FatalError, match="newer"):
        Store(tmp_path)
