"""Wait until all that Kafka holds is in S3, and all that Kinesis holds in the streaming side's tables."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pinline import aws, kafka_log, object_store
from pinline.accounting.facts import acknowledged, dead_letters
from pinline.aws import kinesis_errors
from pinline.errors import DeadlineError
from pinline.events import EVENTS, topics
from pinline.objects import parse_key, partition_prefix
from pinline.settings import Settings
from sink.formats import is_null

if TYPE_CHECKING:
    from kafka import KafkaConsumer
    from mypy_boto3_s3 import S3Client

_POLL_S = 0.25
_STREAM_POLL_S = 0.5
"""Within a shard's five reads a second, of which the streaming job takes most."""


def wait_for_s3(settings: Settings, timeout: float, tell: Callable[[str], None]) -> int:
    """Return the number of records waited for, once every offset of the topics is in an object, dead or null.

    What counts is what Kafka holds when it is looked at: records posted meanwhile are waited for too.
    `timeout` in seconds; `tell` is given a line of progress. Raises DeadlineError that names what is still missing.
    """
    deadline = time.monotonic() + timeout
    s3 = aws.s3_client(settings)
    first: int | None = None
    last_keys: dict[str, str] = {}
    with kafka_log.connect(settings) as consumer:
        while True:
            missing = {}
            for topic in topics(settings.user_id):
                for partition, held in kafka_log.ranges(consumer, topic).items():
                    if span := _not_in_s3(s3, settings, topic, partition, held, last_keys):
                        missing[topic, partition] = span
            left = sum(map(len, missing.values()))
            first = left if first is None else first
            if not left or not _records(consumer, settings, missing):
                return first
            tell(f"{left:,} offsets to go")
            if time.monotonic() > deadline:
                named = ", ".join(f"{t}[{p}] {span.start}-{span.stop - 1}" for (t, p), span in missing.items())
                raise DeadlineError(
                    f"after {timeout:g} s, {left:,} offsets of Kafka are not in S3: {named}. "
                    "Is the sink well? Try: make status, make logs SERVICE=sink"
                )
            time.sleep(_POLL_S)


def wait_for_stream(settings: Settings, timeout: float, tell: Callable[[str], None]) -> int:
    """Return the number of shards of the three streams, once no record of theirs is after the streaming job's position.

    0 if nothing was ever streamed: no streaming job ran, and the ledger names no record. `timeout` in seconds. Raises
    UnreachableError, or DeadlineError that names the shards.
    """
    from lakehouse.stream import checkpoint  # the lake's package isn't in every image

    deadline = time.monotonic() + timeout
    s3 = aws.s3_client(settings)
    if not checkpoint.exists(s3, settings) and not acknowledged(settings, "kinesis"):
        return 0
    kinesis = aws.kinesis_client(settings)
    with kinesis_errors(settings):
        shards = [place for event in EVENTS for place in _shards(kinesis, event.stream(settings.user_id))]
        waiting = set(shards)
        while True:
            positions = checkpoint.positions(s3, settings)
            waiting = {place for place in waiting if _has_more(kinesis, *place, positions.get(place))}
            if not waiting:
                return len(shards)
            tell(f"{len(waiting)} shards to go")
            if time.monotonic() > deadline:
                named = ", ".join(f"{stream} {shard}" for stream, shard in sorted(waiting))
                raise DeadlineError(
                    f"after {timeout:g} s, records of these shards are not in the stream's tables: {named}. "
                    "Is the streaming job well? Try: make status, make logs SERVICE=stream"
                )
            time.sleep(_STREAM_POLL_S)


def _shards(kinesis: Any, stream: str) -> list[tuple[str, str]]:
    try:
        pages = kinesis.get_paginator("list_shards").paginate(StreamName=stream)
        return [(stream, shard["ShardId"]) for page in pages for shard in page["Shards"]]
    except kinesis.exceptions.ResourceNotFoundException:
        return []


def _has_more(kinesis: Any, stream: str, shard: str, position: str | None) -> bool:
    """Tell whether the shard holds a record after `position`."""
    start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": position}
    if position is None:
        start = {"ShardIteratorType": "TRIM_HORIZON"}
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, **start)["ShardIterator"]
    while iterator:
        try:
            answer = kinesis.get_records(ShardIterator=iterator, Limit=1)
        except kinesis.exceptions.ProvisionedThroughputExceededException:
            time.sleep(_STREAM_POLL_S)  # the streaming job reads as well
            continue
        if answer["Records"]:
            return True
        iterator = answer.get("NextShardIterator") if answer["MillisBehindLatest"] else None
    return False


def _not_in_s3(
    s3: "S3Client", settings: Settings, topic: str, partition: int, span: range, last_keys: dict[str, str]
) -> range:
    """Return the offsets of `span` after the end of the partition's last object; `last_keys` spares listing it all."""
    prefix = partition_prefix(topic, partition)
    for key, _ in object_store.list_keys(s3, settings, prefix, start_after=last_keys.get(prefix, "")):
        if parse_key(key):
            last_keys[prefix] = key
    covered = object_store.head(s3, settings, last_keys[prefix]).range if prefix in last_keys else None
    return range(max(span.start, covered.last_offset + 1 if covered else 0), span.stop)


def _records(consumer: "KafkaConsumer", settings: Settings, missing: dict[tuple[str, int], range]) -> bool:
    """Tell whether a record that S3 has to hold is among the offsets: nulls and dead letters are in no object."""
    dead = dead_letters(consumer, settings)
    return any(
        not is_null(record.value) and record.offset not in dead.get(place, ())
        for place, span in missing.items()
        for record in kafka_log.scan(consumer, *place, span)
    )
