"""The database: the same SQL on SQLite and PostgreSQL, its parameters whatever they are, inside its transaction."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import urlsplit

import pytest

from connectors.errors import FatalError, UsageError
from connectors.ledger.database import connect, listed, one_of
from connectors.ledger.migrate import migrate

SOURCE = {"name": "docs", "destination": "d", "kind": "website", "origin": "o", "options": "{}", "created_at": 2**40}
ALL = "SELECT * FROM sources ORDER BY id"


@pytest.fixture
def connection(ledger_url):
    with closing(connect(ledger_url)) as opened:
        with opened.transaction():
            migrate(opened)
        yield opened


@pytest.mark.parametrize("name", ["100 % \u2603 'quoted' %s :name ? $1", "", "'; DROP TABLE sources; --"])
def test_a_text_comes_back_as_it_was_and_is_never_sql(connection, name):
    with connection.transaction():
        key = connection.insert("sources", SOURCE | {"name": name})
        assert connection.rows(ALL)[0]._asdict().items() >= (SOURCE | {"name": name, "id": key}).items()
        assert connection.value("SELECT id FROM sources WHERE name IN TEXTS(:names)", names=listed([name, "x"])) == key


def test_bytes_and_nothing_come_back_as_they_were(connection):
    row = {"page_id": 1, "run_id": 2, "canonical": "", "config": "", "page": b"\x00\xff"}
    with connection.transaction():
        connection.insert_many("holds", [row])
        assert bytes(connection.value("SELECT page FROM holds")) == b"\x00\xff"
        assert connection.value("SELECT ended_at FROM runs") is None


def test_columns_that_are_not_named_stay(connection):
    with connection.transaction():
        key = connection.insert("sources", SOURCE)
        assert connection.change("sources", {"kind": "git"}, "id = :key", key=key) == 1
        assert connection.change("sources", {"origin": "elsewhere"}, "id = :key", key=key) == 1
        assert connection.change("sources", {"origin": "nowhere"}, "id = :key", key=key + 1) == 0
        (row,) = connection.rows(ALL)
    assert (row.kind, row.origin, row.created_at) == ("git", "elsewhere", 2**40)


def test_of_many_rows_those_that_are_known_are_left_out_and_not_counted(connection):
    with connection.transaction():
        connection.insert("sources", SOURCE)
        rows = [SOURCE | {"name": name} for name in ("docs", "news", "help")]
        assert connection.insert_many("sources", rows, but_known=True) == 2
        assert connection.insert_many("sources", [], but_known=True) == 0
        assert connection.column("SELECT name FROM sources ORDER BY id") == ["docs", "news", "help"]
        assert connection.insert_unless_known("sources", SOURCE) == 0
        assert connection.insert_unless_known("sources", SOURCE | {"name": "more"}) > 0
        connection.many(
            "DELETE FROM sources WHERE name = :name", [{"name": "docs"}, {"name": "news"}, {"name": "more"}]
        )
        assert connection.column("SELECT name FROM sources") == ["help"]


def test_a_list_of_numbers_of_any_length_is_one_parameter(connection):
    with connection.transaction():
        keys = [connection.insert("sources", SOURCE | {"name": str(number)}) for number in range(50)]
        query = "SELECT id FROM sources WHERE id IN NUMBERS(:keys) ORDER BY id"
        for chosen in (keys, keys[:1], [], [10**15]):
            assert connection.column(query, keys=listed(chosen)) == [key for key in chosen if key in keys]


def test_what_it_wrote_is_gone_with_its_transaction(connection):
    connection.begin(synced=True)
    connection.insert("sources", SOURCE)
    connection.rollback()
    with pytest.raises(connection.errors), connection.transaction():
        connection.insert_many("sources", [SOURCE, SOURCE])
    with connection.transaction():
        assert connection.first(ALL) is None


def test_a_statement_that_fails_leaves_a_connection_that_can_be_closed(connection):
    with pytest.raises(connection.errors), connection.transaction():
        connection.rows("SELECT broken FROM nowhere")
    connection.close()
    connection.close()


@pytest.mark.parametrize("url", ["mysql://u@h/d", "postgresql://h/d", "postgresql:///d", "nonsense", ""])
def test_an_address_of_no_database_is_refused_in_words(url):
    with pytest.raises(UsageError, match="Use sqlite:///FILE"):
        connect(url)


def test_a_server_is_found_by_its_socket_too(postgres):
    port = urlsplit(postgres).port
    with closing(connect(postgres)) as opened:
        folder = opened.value("SELECT current_setting('unix_socket_directories')")
    with closing(connect(f"postgresql://ledger@/postgres?unix_sock={folder}/.s.PGSQL.{port}")) as opened:
        assert opened.value("SELECT 1") == 1


def test_a_server_that_is_not_there_is_told_in_one_sentence():
    with pytest.raises(FatalError, match="database server") as told:
        connect("postgresql://u:p%40ss@127.0.0.1:1/d")
    assert "127.0.0.1:1/d cannot be opened" in str(told.value)
    assert not any(word in str(told.value) for word in ("p%40ss", "p@ss", "..", "timeout is", "state folder"))


def test_words_of_ours_are_one_text_in_whatever_order():
    assert one_of({"b", "a"}) == one_of(("a", "b")) == "('a', 'b')"
