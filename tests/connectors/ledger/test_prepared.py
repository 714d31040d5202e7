"""Prepared statements: the same rows as by SQLAlchemy, on both databases, inside its transaction."""

import pytest
from sqlalchemy import bindparam, select, update

from connectors.ledger import schema
from connectors.ledger.migrate import migrate
from connectors.ledger.prepared import Prepared
from connectors.ledger.writer import open_engine

SOURCE = {"name": "docs", "destination": "d", "kind": "website", "origin": "o", "options": "{}", "created_at": 2**40}
ALL = Prepared(select(schema.sources).order_by(schema.sources.c.id))


@pytest.fixture
def connection(ledger_url):
    engine = open_engine(ledger_url)
    with engine.connect() as opened:
        with opened.begin():
            migrate(opened)
        yield opened
    engine.dispose()


def test_rows_are_those_that_sqlalchemy_reads_whatever_the_text_holds(connection):
    with connection.begin():
        for name in ("docs", "100 % \u2603 'quoted' %s :name ?"):
            schema.insert_id(connection, schema.sources, SOURCE | {"name": name})
        rows = [row._asdict() for row in ALL.all(connection, {})]
        assert rows == [
            dict(row._mapping) for row in connection.execute(select(schema.sources).order_by(schema.sources.c.id))
        ]


def test_a_statement_has_a_form_for_each_set_of_names(connection):
    change = Prepared(update(schema.sources).where(schema.sources.c.id == bindparam("key")))
    with connection.begin():
        key = schema.insert_id(connection, schema.sources, SOURCE)
        change.run(connection, {"key": key, "kind": "git"})
        change.run(connection, {"origin": "elsewhere", "key": key})
        (row,) = ALL.all(connection, {})
    assert (row.kind, row.origin) == ("git", "elsewhere")


def test_what_it_wrote_is_gone_with_its_transaction(connection):
    with connection.begin() as transaction:
        schema.insert_id(connection, schema.sources, SOURCE)
        transaction.rollback()
    with connection.begin():
        assert ALL.first(connection, {}) is None


def test_a_list_of_unknown_length_is_refused_when_it_is_written(connection):
    wrong = Prepared(select(schema.sources).where(schema.sources.c.id.in_([1, 2])))
    with connection.begin(), pytest.raises(ValueError, match="another form"):
        wrong.all(connection, {})
