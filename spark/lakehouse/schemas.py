"""The shapes of the lake's event tables, derived from the event contract: what a record may hold, what silver holds."""

from dataclasses import dataclass

from pinline.events import Column, EventName, EventType, JsonType

VARIANT_TYPES: dict[JsonType, str] = {
    "integer": "BIGINT",
    "number": r"BIGINT|DECIMAL\(\d+,\d+\)|DOUBLE|FLOAT",
    "string": "STRING",
    "timestamp": "STRING",
}
"""The types that `schema_of_variant` gives a value of each JSON type, as a regular expression."""

VALUE_TYPES: dict[JsonType, str] = {"integer": "bigint", "number": "double", "string": "string", "timestamp": "string"}
"""The Spark types in which values leave the JSON text."""

_SILVER: dict[EventName, dict[str, str]] = {
    "pin": {
        "ind": "bigint",
        "unique_id": "string",
        "title": "string",
        "description": "string",
        "follower_count": "int",
        "poster_name": "string",
        "tag_list": "string",
        "is_image_or_video": "string",
        "image_src": "string",
        "save_location": "string",
        "category": "string",
    },
    "geo": {"ind": "bigint", "country": "string", "coordinates": "array<double>", "timestamp": "timestamp"},
    "user": {"ind": "bigint", "user_name": "string", "age": "int", "date_joined": "timestamp"},
}

ORIGIN: dict[str, str] = {"_object": "string", "_line": "int"}
"""Where a row came from: the full key of its object and the number of its line, from 0."""

STREAM_ORIGIN: dict[str, str] = {"_shard": "string", "_sequence": "string", "_arrived": "timestamp"}
"""Where a row of the streaming side came from, and when its record arrived there (UTC)."""


NOT_TEXT = "not text: raw is its base64"
"""The reason of a record of the streaming side whose bytes are no UTF-8."""


@dataclass(frozen=True)
class SilverSchema:
    """The columns of a silver table, in order, with their Spark types."""

    columns: dict[str, str]

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self.columns)

    @property
    def ddl(self) -> str:
        """The columns and the origin of a row, for CREATE TABLE."""
        return _ddl({**self.columns, **ORIGIN})

    @property
    def stream_ddl(self) -> str:
        """The columns of the streaming side's table, for CREATE TABLE."""
        return _ddl({**self.columns, **STREAM_ORIGIN})


SILVER: dict[EventName, SilverSchema] = {name: SilverSchema(columns) for name, columns in _SILVER.items()}


def _ddl(columns: dict[str, str]) -> str:
    return ", ".join(f"`{name}` {kind}" for name, kind in columns.items())


def record_pattern(event: EventType) -> str:
    """Return the regular expression of `schema_of_variant` of a record with exactly the event's columns and types."""
    fields = sorted(event.columns, key=lambda column: column.name)
    return "^OBJECT<" + ", ".join(f"{c.name}: ({value_pattern(c)})" for c in fields) + ">$"


def value_pattern(column: Column) -> str:
    """Return the regular expression of `schema_of_variant` of a value that the column may hold. VOID is JSON's null."""
    return f"{VARIANT_TYPES[column.json_type]}|VOID"
