"""Copies that a killed replay put into a stream without marking them, found again in Kinesis.

A copy has its entry's digest as partition key and its value as data. It is looked for from shortly before the put was
noted up to the tip of every shard, so for as long as Kinesis keeps it.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pinline.replay.entries import Entry, Place
from pinline.replay.marks import Marks

_SKEW_MS = 5 * 60_000
"""AWS takes no request whose clock differs from its own by more."""
_UNDER_WAY_SECONDS = 5.0
"""A request of a process that was killed may reach Kinesis so long after it was noted."""
_PAUSE_SECONDS = 0.25


def find(client: Any, marks: Marks, entries: list[Entry]) -> Iterator[tuple[Entry, Place]]:
    """Yield each of `entries` whose put was noted and is in its stream, with the copy there."""
    begun = {entry: since for entry in entries if (since := marks.begun(entry)) is not None}
    if not begun:
        return
    time.sleep(max(0.0, _UNDER_WAY_SECONDS - (time.time() - max(begun.values()) / 1000)))
    for stream in sorted({entry.topic for entry in begun}):
        wanted: dict[tuple[str, bytes], list[Entry]] = defaultdict(list)
        mine = {entry: since for entry, since in begun.items() if entry.topic == stream}
        for entry in mine:
            wanted[entry.content, entry.value].append(entry)
        for place, key, data in _records(client, stream, min(mine.values()) - _SKEW_MS):
            missing = wanted.get((key, data))
            if missing and not marks.knows(place, key):
                yield missing.pop(), place
            if not any(wanted.values()):
                break


def _records(client: Any, stream: str, since_ms: int) -> Iterator[tuple[Place, str, bytes]]:
    """Yield place, partition key and data of all records of a stream that arrived since."""
    at = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": datetime.fromtimestamp(since_ms / 1000, UTC)}
    for shard in _shards(client, stream):
        iterator = client.get_shard_iterator(StreamName=stream, ShardId=shard, **at)["ShardIterator"]
        while iterator is not None:
            answer = client.get_records(ShardIterator=iterator)
            for record in answer["Records"]:
                yield Place(stream, shard, record["SequenceNumber"]), record["PartitionKey"], record["Data"]
            if not answer["MillisBehindLatest"]:
                break
            iterator = answer.get("NextShardIterator")
            time.sleep(_PAUSE_SECONDS)  # the streaming job reads the shard too, and they share five reads a second


def _shards(client: Any, stream: str) -> Iterator[str]:
    request = {"StreamName": stream}
    while request:
        answer = client.list_shards(**request)
        yield from (shard["ShardId"] for shard in answer["Shards"])
        request = {"NextToken": answer["NextToken"]} if answer.get("NextToken") else {}
