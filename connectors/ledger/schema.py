"""The ledger's tables as SQLAlchemy Core sees them; the files in ``migrations`` make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Column, Double, Integer, LargeBinary, MetaData, Table, Text, insert

from connectors.ledger.prepared import Prepared

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.sql.type_api import TypeEngine

metadata = MetaData()


def _table(
    name: str, *, integers: str = "", texts: str = "", blobs: str = "", doubles: str = "", key: str = ""
) -> Table:
    """Declare a table by the names of its columns; ``key`` names its primary key where that is not ``id``."""
    identity = BigInteger().with_variant(Integer, "sqlite")
    types: list[tuple[str, TypeEngine[Any]]] = [
        *((column, BigInteger()) for column in integers.split()),
        *((column, Text()) for column in texts.split()),
        *((column, LargeBinary()) for column in blobs.split()),
        *((column, Double()) for column in doubles.split()),
    ]
    columns = [Column(column, kind, primary_key=column in key.split()) for column, kind in types]
    if not key:
        columns.insert(0, Column("id", identity, primary_key=True))
    return Table(name, metadata, *columns)


sources = _table(
    "sources",
    integers="created_at lease_pid lease_born lease_beat lease_tick",
    texts="destination name kind origin options lease_token lease_host lease_boot",
)
runs = _table(
    "runs",
    integers="source_id complete resumed started_at ended_at",
    texts="purpose state config stream_id summary",
)
visits = _table(
    "visits",
    integers="run_id hash depth fault status ended_at",
    texts="uri found_by via modified outcome rule detail",
    doubles="seconds",
)
resources = _table(
    "resources",
    integers="source_id hash seen_run recorded_run",
    texts="uri etag last_modified config",
    blobs="body_hash links",
)
pages = _table(
    "pages",
    integers=(
        "source_id resource_id hash version_id duplicate_of seen_run verdict_run gone_runs absent_runs weighed_run"
    ),
    texts="uri canonical title state flags verdict moved_from",
    blobs="text_hash blocks",
)
versions = _table(
    "versions",
    integers="source_id page_id run_id size batch_id created_at delivered_run delivered_tick verified_run closed_run",
    texts="state uri title metadata fingerprint reason delivered_via delivered_boot",
    blobs="content text_hash normal_hash",
)
batches = _table(
    "batches",
    integers="source_id run_id number pages bytes attempts calls parent_id created_at sent_at sent_tick ended_at",
    texts="method stream_id state detail sent_boot",
)
items = _table("items", integers="version_id ordinal", texts="destination item_id", key="destination item_id")
holds = _table("holds", integers="page_id run_id", texts="canonical config", blobs="page", key="page_id")
prompts = _table("prompts", integers="run_id created_at", texts="topics prompts")
findings = _table("findings", integers="run_id created_at", texts="uri article note")
probes = _table(
    "probes", integers="largest_batch at", texts="destination returned", doubles="visible_s", key="destination"
)


_NUMBERED = [table for table in metadata.tables.values() if "id" in table.c]
_INSERTS = {table: Prepared(insert(table).inline()) for table in _NUMBERED}
_INSERTS_THAT_ANSWER = {table: Prepared(insert(table).returning(table.c.id)) for table in _NUMBERED}


def insert_id(connection: Connection, table: Table, values: dict[str, Any]) -> int:
    """Insert a row and return the number it got."""
    if connection.dialect.name == "sqlite":  # which knows it anyway; RETURNING costs as much as the insert
        return _INSERTS[table].insert(connection, values)
    return int(_INSERTS_THAT_ANSWER[table].first(connection, values).id)
