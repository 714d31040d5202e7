"""The index of the embedded knowledge base: what it is told, takes back, and is told anew in an older database."""

import hashlib
import sqlite3

import pytest

from connectors.persona.server import index, schema
from connectors.persona.server.search import SCORED, _expression, search, terms
from connectors.persona.server.shelf import Shelf
from connectors.persona.server.store import Store, StoredPage, item_name

REFERENCE = "# Vec\n\nA list.\n\n" + "".join(
    f"## fn take{n}\n\nTakes [`item{n}`](https://docs.example/vec/item.html#take{n}).\n\n" for n in range(40)
)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    yield store
    store.close()


def vocabulary(db):
    db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.known USING fts5vocab('main', 'words', 'row')")
    return {word for (word,) in db.execute("SELECT term FROM temp.known")}


def found(store, question):
    with store.reading() as db:
        return [(hit.item, hit.heading) for hit in search(db, question)]


def test_short_sections_are_one_row_and_each_is_found_by_itself(store):
    store.add_pages([StoredPage(title="Vec", content=REFERENCE, metadata={})])
    with store.reading() as db:
        (rows,) = db.execute("SELECT count(*) FROM passages").fetchone()
        (hit, *_) = search(db, "take17")
    assert rows < 8
    assert (hit.heading, hit.passage) == (
        "fn take17",
        "## fn take17\n\nTakes [`item17`](https://docs.example/vec/item.html#take17).\n\n",
    )


def test_a_page_is_found_by_its_title_and_a_word_of_any_section(store):
    store.add_pages(
        [
            StoredPage(title="Vec", content=REFERENCE, metadata={}),
            StoredPage(title="Map", content=REFERENCE.replace("# Vec", "# Map", 1), metadata={}),
        ]
    )
    assert found(store, "take39 of Vec")[0][0] == item_name(1)
    assert found(store, "take39 of Map")[0][0] == item_name(2)


def test_a_link_is_indexed_by_its_path_and_not_by_its_host(store):
    store.add_pages([StoredPage(title="Vec", content=REFERENCE, metadata={})])
    with store.reading() as db:
        assert {"item", "html"} <= vocabulary(db)
        assert not {"http", "doc", "exampl"} & vocabulary(db)


@pytest.mark.parametrize(
    "content", [REFERENCE, "日本語 [a](http://x/b) \x00 ü", "", "# T\r\n\r\n## [[x]](http://y/z)\r\n"]
)
def test_what_is_deleted_is_forgotten_whole(store, content):
    store.add_pages([StoredPage(title="Vec ü", content=content, metadata={})])
    assert store.update_item(item_name(1), content + "\n\n## More\n\nzebra")
    assert store.delete_item(item_name(1))
    with store.reading() as db:
        assert vocabulary(db) == set()
        assert db.execute("SELECT count(*) FROM passages").fetchone() == (0,)


def test_a_question_scores_few_passages_and_finds_among_many(store):
    many = 3 * SCORED
    body = "The common word, and others. " * 3
    pages = [StoredPage(title=f"Page {n}", content=f"# Page {n}\n\n{body}", metadata={}) for n in range(many)]
    pages[many - 2] = StoredPage(title="Zebra", content=f"# Zebra\n\n{body} A zebra is common.", metadata={})
    pages[many - 1] = StoredPage(title="Common", content=f"# Common\n\n{body}", metadata={})
    store.add_pages(pages)
    assert found(store, "common zebra")[0][0] == item_name(many - 1)
    assert found(store, "common")[0][0] == item_name(many)
    assert found(store, "common word")[0][0] == item_name(many)
    with store.reading() as db:
        for question in ("common zebra", "common", "common word others", "zebra and common word"):
            asked = (_expression(db, terms(db, question), Shelf()),)
            (scored,) = db.execute("SELECT count(*) FROM words WHERE words MATCH ?", asked).fetchone()
            assert 0 < scored <= 2 * SCORED


def old_database(folder):
    """Write a knowledge base as it was when each section was a row of the index by itself."""
    db = schema.connect(folder / "knowledge-base.sqlite3")
    for statement in schema._statements("".join(schema.STEPS[:2])):
        db.execute(statement)
    db.execute("PRAGMA user_version = 2")
    content = "# Keys\n\nIntro.\n\n## Rotating\n\nPress rotate."
    db.execute("INSERT INTO pages VALUES (1, 'Keys', '{}', 'https://x.example/', 'en', '', '')")
    db.execute("INSERT INTO items VALUES (7, 1, ?, '')", (content,))
    for number, (starts, ends, heading) in enumerate([(0, 16, ""), (16, len(content), "Rotating")], 1):
        db.execute("INSERT INTO sections VALUES (?, 7, ?, ?, ?)", (number, starts, ends, heading))
        db.execute("INSERT INTO words (rowid, title, heading, body) VALUES (?, 'Keys', ?, ?)", (number, heading, "old"))
    db.close()
    return content


def test_an_older_database_is_indexed_anew_and_loses_nothing(tmp_path, caplog):
    content = old_database(tmp_path)
    store = Store(tmp_path)
    assert [record.getMessage() for record in caplog.records] == [
        "The knowledge base is of an older version: its 1 items are indexed anew, once."
    ]
    assert list(store.items()) == [(item_name(7), content)]
    assert found(store, "rotating keys") == [(item_name(7), "Rotating")]
    assert found(store, "old") == []
    store.add_pages([StoredPage(title="New", content="# New\n\nzebra", metadata={})])
    assert store.delete_item(item_name(7))
    assert (found(store, "rotating"), found(store, "zebra")) == ([], [(item_name(8), "")])
    store.close()
    Store(tmp_path).close()


def test_an_older_database_that_cannot_be_indexed_stays_as_it_was(tmp_path):
    old_database(tmp_path)
    with sqlite3.connect(tmp_path / "knowledge-base.sqlite3") as db:
        db.execute("CREATE TABLE passages (id)")
    with pytest.raises(Exception, match="passages"):
        Store(tmp_path)
    with sqlite3.connect(tmp_path / "knowledge-base.sqlite3") as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
        assert db.execute("SELECT count(*) FROM sections").fetchone() == (2,)


def test_what_the_index_is_told_belongs_to_the_layout():
    """When this changes, databases that exist must be indexed anew: add a step and raise `schema.INDEXED_ANEW`."""
    content = (
        "Source: https://x.example/a\n\n# Title\n\nIntro [[x]](https://x.example/p#q) 日本.\n\n"
        "## `A` *b* \\[c\\] ##\r\n\r\n"
        "~~~sh\n# no heading\n~~~\n\n### Below [d](http://e/f)\n\ntext\n" + "word " * 900 + "\n\n## Last\n\nend\n"
    )
    told = repr([passage[2:] for passage in index._passages("A title 日", content)])
    assert (hashlib.sha256(told.encode()).hexdigest()[:16], schema.INDEXED_ANEW) == ("9c74d3a7470602ed", 3)
