"""The event contract: three events, and the name each has in every system that it passes.

Nothing else in the project spells a topic, a stream, a key column or a column list of an event.
Columns are those of the source table, in its order, which is the order of the JSON that is sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

EventName = Literal["pin", "geo", "user"]
JsonType = Literal["integer", "number", "string", "timestamp"]
"""The JSON type of a column. A timestamp travels as a string in one of `TIMESTAMP_FORMATS`."""

TIMESTAMP_FORMATS = ("yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-dd HH:mm:ss")
"""Spark patterns of the two date forms that producers of this pipeline send."""


@dataclass(frozen=True)
class Column:
    """One column of a source table."""

    name: str
    json_type: JsonType


@dataclass(frozen=True)
class EventType:
    """One of the three events: where it comes from and what it is called on its way."""

    name: EventName
    table: str
    key_column: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of `columns`, in order."""
        return tuple(column.name for column in self.columns)

    def topic(self, user_id: str) -> str:
        """The Kafka topic."""
        return f"{user_id}.{self.name}"

    def stream(self, user_id: str) -> str:
        """The Kinesis stream."""
        return f"streaming-{user_id}-{self.name}"

    def stream_table(self, user_id: str) -> str:
        """The Delta table (in schema `stream`) that the streaming side fills."""
        return f"{user_id}_{self.name}_table"

    def key(self, row: Mapping[str, object]) -> str:
        """The event key as text: Kafka's message key and Kinesis's partition key."""
        return str(row[self.key_column])


PIN = EventType(
    "pin",
    "pinterest_data",
    "index",
    (
        Column("index", "integer"),
        Column("unique_id", "string"),
        Column("title", "string"),
        Column("description", "string"),
        Column("poster_name", "string"),
        Column("follower_count", "string"),
        Column("tag_list", "string"),
        Column("is_image_or_video", "string"),
        Column("image_src", "string"),
        Column("downloaded", "integer"),
        Column("save_location", "string"),
        Column("category", "string"),
    ),
)
GEO = EventType(
    "geo",
    "geolocation_data",
    "ind",
    (
        Column("ind", "integer"),
        Column("timestamp", "timestamp"),
        Column("latitude", "number"),
        Column("longitude", "number"),
        Column("country", "string"),
    ),
)
USER = EventType(
    "user",
    "user_data",
    "ind",
    (
        Column("ind", "integer"),
        Column("first_name", "string"),
        Column("last_name", "string"),
        Column("age", "integer"),
        Column("date_joined", "timestamp"),
    ),
)
EVENTS: tuple[EventType, ...] = (PIN, GEO, USER)
"""The three events, in the order in which they are sent."""

EVENT_BY_NAME: dict[str, EventType] = {event.name: event for event in EVENTS}


def topics(user_id: str) -> dict[str, EventType]:
    """Return the three topics of a user, each with its event."""
    return {event.topic(user_id): event for event in EVENTS}


def streams(user_id: str) -> dict[str, EventType]:
    """Return the three streams of a user, each with its event."""
    return {event.stream(user_id): event for event in EVENTS}


def dead_letter_topic(user_id: str) -> str:
    """Return the topic that keeps what the sink can't write."""
    return f"dlq.{user_id}"


def replayed_topic(user_id: str) -> str:
    """Return the topic that keeps a mark of each dead letter and quarantined line that was sent again."""
    return f"replayed.{user_id}"


def json_default(value: object) -> str:
    """Render what JSON has no type for: a datetime as `2022-01-01T02:26:50`. For `json` and `orjson`."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S")
    raise TypeError(f"{type(value).__name__} is not part of the event contract")
