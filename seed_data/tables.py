"""The tables of the source database, for MySQL 8.4 and MariaDB 11.4.

Columns and their order are the event contract's (`pinline.events`). Coordinates are FLOAT, as in the course's database:
six significant digits come back. Every column but the key may be NULL.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    inspect,
    select,
)
from sqlalchemy.dialects.mysql import FLOAT
from sqlalchemy.types import TypeEngine

from pinline.events import EVENTS, EventType, JsonType

TEXT_BYTES = 65_535
"""What a TEXT column holds, in bytes of UTF-8."""
UNIQUE_ID_LENGTH = 36

METADATA = MetaData()


def _type(name: str, json_type: JsonType) -> TypeEngine[Any]:
    if name == "unique_id":
        return String(UNIQUE_ID_LENGTH)
    types: dict[JsonType, TypeEngine[Any]] = {
        "integer": BigInteger(),
        "number": FLOAT(),
        "string": Text(),
        "timestamp": DateTime(),
    }
    return types[json_type]


def _table(event: EventType, suffix: str, metadata: MetaData) -> Table:
    columns = [
        Column(
            column.name, _type(column.name, column.json_type), primary_key=column.name == event.key_column,
            autoincrement=False,
        )
        for column in event.columns
    ]  # fmt: skip
    return Table(f"{event.table}{suffix}", metadata, *columns, mysql_engine="InnoDB", mysql_charset="utf8mb4")


def _seed_table(suffix: str, metadata: MetaData) -> Table:
    return Table(
        f"pinline_seed{suffix}",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("fingerprint", String(200), nullable=False),
        Column("events", BigInteger, nullable=False),
        Column("loaded_at", DateTime, nullable=False),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )


TABLES: dict[str, Table] = {event.name: _table(event, "", METADATA) for event in EVENTS}
"""The three tables, by event name."""
SEED = _seed_table("", METADATA)
"""One row: which content the three tables hold. Replaced together with them."""

STAGING_METADATA = MetaData()
STAGING: dict[str, Table] = {event.name: _table(event, "_staging", STAGING_METADATA) for event in EVENTS}
"""Where a load writes before it takes the place of the tables."""
SEED_STAGING = _seed_table("_staging", STAGING_METADATA)


def is_empty(connection: Connection) -> bool:
    """Whether none of the three tables holds a row; one that isn't there holds none."""
    there = inspect(connection)
    return not any(
        connection.execute(select(*table.primary_key).limit(1)).first()
        for table in TABLES.values()
        if there.has_table(table.name)
    )


def posts(connection: Connection) -> int:
    """Return how many rows `pinterest_data` holds."""
    table = TABLES["pin"]
    if not inspect(connection).has_table(table.name):
        return 0
    return connection.scalar(select(func.count()).select_from(table)) or 0
