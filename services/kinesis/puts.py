"""PutRecord and PutRecords.

A put answers with a sequence number when Kafka has acknowledged the record and it stands before its shard's end; a
record that a closing shard left behind its end is written again to a child.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException

from kinesis import sequence
from kinesis.catalog import Catalog
from kinesis.errors import KinesisError, internal, invalid_argument, rate_exceeded, stream_not_found, validation
from kinesis.limits import ShardLimits
from kinesis.members import Members, stop_dry_run, stream_name
from kinesis.metrics import Metrics
from kinesis.reader import UNKNOWN_PLACE
from kinesis.sequence import HASH_KEYS, POSITION_UNIT, hash_key
from kinesis.settings import Settings
from kinesis.streams import Shard, Stream
from kinesis.tips import Tips
from kinesis.writer import GENERATION, Entry, Writer

MAX_REQUEST_BYTES = 10 * 1024 * 1024
_PUT_TIMEOUT_S = 20.0
_HASH_KEY = "explicit-hash-key"


@dataclass(slots=True)
class _Record:
    hash_key: int
    key: bytes | None
    data: bytes
    explicit: str | None
    size: int
    admitted: bool = False


Result = tuple[str, str] | KinesisError
"""A record's shard and sequence number, or its error."""


class Puts:
    """The operations that write records."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        writer: Writer,
        tips: Tips,
        limits: ShardLimits | None,
        metrics: Metrics,
    ) -> None:
        self._account = settings.account
        self._catalog = catalog
        self._writer = writer
        self._tips = tips
        self._limits = limits
        self._metrics = metrics

    async def put_record(self, members: Members) -> Members:
        """Write one record."""
        stream = await self._writable(members)
        self._require_ordering(members.get("SequenceNumberForOrdering"), stream)
        record = self._record(members, stream, "partitionKey")
        stop_dry_run(members)
        (result,) = await self._put(stream, [record])
        if isinstance(result, KinesisError):
            raise result
        return {"ShardId": result[0], "SequenceNumber": result[1]}

    async def put_records(self, members: Members) -> Members:
        """Write up to 500 records, each with its own result."""
        stream = await self._writable(members)
        records = [
            self._record(entry, stream, f"records.{number}.member.partitionKey")
            for number, entry in enumerate(members["Records"], 1)
        ]
        if sum(record.size for record in records) > MAX_REQUEST_BYTES:
            raise invalid_argument("Records size exceeds 10 MB limit")
        stop_dry_run(members)
        results = await self._put(stream, records)
        failed = 0
        answers: list[Members] = []
        for result in results:
            if isinstance(result, KinesisError):
                failed += 1
                answers.append({"ErrorCode": result.name, "ErrorMessage": result.message})
            else:
                answers.append({"ShardId": result[0], "SequenceNumber": result[1]})
        return {"FailedRecordCount": failed, "Records": answers}

    async def _writable(self, members: Members) -> Stream:
        name = stream_name(members)
        stream = await self._catalog.look_up(name)
        if stream is None or not stream.writable:
            raise stream_not_found(name, self._account)
        return stream

    def _record(self, entry: Members, stream: Stream, where: str) -> _Record:
        data: bytes = entry["Data"]
        text: str | None = entry.get("PartitionKey")
        explicit: str | None = entry.get("ExplicitHashKey")
        if text is None and stream.strategy != "AUTO":
            raise validation(
                f"1 validation error detected: Value null at '{where}' failed to satisfy constraint: "
                "Member must not be null"
            )
        try:
            key = text.encode() if text is not None else None
        except UnicodeEncodeError:
            raise invalid_argument(f"The partition key at '{where}' is not valid Unicode.") from None
        size = len(data) + (len(key) if key is not None else 0)
        if size > stream.max_record_kib * 1024:
            raise invalid_argument(
                f"Record of {size} bytes (data and partition key) exceeds the maximum record size of "
                f"{stream.max_record_kib * 1024} bytes of stream {stream.name} under account {self._account}."
            )
        if stream.strategy == "AUTO" or text is None:
            place = random.getrandbits(128)  # spreads records, protects nothing
        elif explicit is not None:
            place = int(explicit)
            if place >= HASH_KEYS:
                raise invalid_argument(
                    "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. "
                    f"Specified value was {explicit}"
                )
        else:
            place = hash_key(text)
        return _Record(place, key, data, explicit, size)

    def _require_ordering(self, text: str | None, stream: Stream) -> None:
        if text is None:
            return
        found = sequence.decode(text)
        if found is None or found.stream_epoch != stream.epoch:
            raise invalid_argument(
                f"ExclusiveMinimumSequenceNumber {text} used in PutRecord on stream {stream.name} under account "
                f"{self._account} is invalid."
            )

    async def _put(self, stream: Stream, records: Sequence[_Record]) -> list[Result]:
        """Write records and return their results in the same order."""
        give_up = time.monotonic() + _PUT_TIMEOUT_S
        results: list[Result | None] = [None] * len(records)
        pending: Sequence[int] = range(len(records))
        name, epoch = stream.name, stream.epoch
        while pending:
            entries: list[Entry] = []
            placed: list[tuple[int, Shard]] = []
            later: list[int] = []
            for index in pending:
                record = records[index]
                shard = stream.shard_for(record.hash_key)
                if shard.index in stream.closing:
                    later.append(index)
                elif self._admit(record, stream, shard):
                    entries.append(_entry(record, shard, stream))
                    placed.append((index, shard))
                else:
                    results[index] = rate_exceeded(shard.id, stream.name, self._account)
            unsent = len(later)
            if entries:
                later += await self._send(stream, entries, placed, results)
            if not later:
                break
            if time.monotonic() > give_up:
                for index in later:
                    results[index] = internal("The shard did not open in time.")
                break
            if unsent:
                await self._catalog.wait_for_change(stream, 1.0)
            known = self._catalog.get(name)
            if known is None or known.epoch != epoch or not known.writable:
                for index in later:
                    results[index] = stream_not_found(name, self._account)
                break
            stream, pending = known, later
        done = [result if result is not None else internal("Internal failure.") for result in results]
        self._count(stream, records, done)
        return done

    async def _send(
        self,
        stream: Stream,
        entries: list[Entry],
        placed: list[tuple[int, Shard]],
        results: list[Result | None],
    ) -> list[int]:
        """Write entries and note those results that are settled; return the indexes of those to write again."""
        outcomes = await self._writer.send(stream.topic, entries)
        again: list[int] = []
        try:
            if not self._catalog.fresh():
                await self._catalog.current()
            known = self._catalog.get(stream.name)
            if known is not stream:
                known = await self._after_closing(stream, {shard.index for _, shard in placed})
        except KinesisError as error:
            for index, _ in placed:
                results[index] = error
            return again
        first: dict[int, int] = {}
        unknown_place = False
        for (index, shard), outcome in zip(placed, outcomes, strict=True):
            if not isinstance(outcome, int):
                if outcome.code() in UNKNOWN_PLACE:
                    unknown_place = True
                    again.append(index)
                else:
                    results[index] = self._failed(outcome)
                continue
            if known is not stream:
                if known is None:
                    results[index] = stream_not_found(stream.name, self._account)
                    continue
                ending = known.by_index[shard.index].ending if shard.index in known.by_index else -1
                if ending is not None and outcome > ending:
                    again.append(index)
                    continue
            number = first.get(shard.index)
            if number is None:
                number = first[shard.index] = stream.sequence(shard, 1)
            results[index] = shard.id, str(number + outcome * POSITION_UNIT)
            self._tips.reached((stream.name, stream.epoch, shard.index), outcome + 1)
        if unknown_place:
            await asyncio.to_thread(self._learn_partitions, stream.topic)
        return again

    async def _after_closing(self, stream: Stream, shards: set[int]) -> Stream | None:
        """Return the stream once none of `shards` is closing, so that their ends are known; None if it is gone."""
        give_up = time.monotonic() + _PUT_TIMEOUT_S
        while True:
            known = self._catalog.get(stream.name)
            if known is None or known.epoch != stream.epoch or not known.writable:
                return None
            if not known.closing & shards:
                return known
            if time.monotonic() > give_up:
                raise internal("The shard did not close in time.")
            await self._catalog.wait_for_change(known, 1.0)

    def _learn_partitions(self, topic: str) -> None:
        time.sleep(0.05)
        try:
            self._writer.learn_partitions(topic)
        except KafkaException:
            return

    def _admit(self, record: _Record, stream: Stream, shard: Shard) -> bool:
        if self._limits is None or record.admitted:
            return True
        record.admitted = self._limits.may_write((stream.name, stream.epoch, shard.index), record.size)
        return record.admitted

    def _count(self, stream: Stream, records: Sequence[_Record], results: list[Result]) -> None:
        taken = size = throttled = failed = 0
        for record, result in zip(records, results, strict=True):
            if not isinstance(result, KinesisError):
                taken += 1
                size += record.size
            elif result.status == 500:
                failed += 1
            else:
                throttled += 1
        self._metrics.written(stream.name, taken, size, throttled, failed)

    def _failed(self, error: KafkaError) -> KinesisError:
        return internal(f"Kafka did not acknowledge the record: {error.str()}")


def _entry(record: _Record, shard: Shard, stream: Stream) -> Entry:
    headers: list[tuple[str, bytes]] | None = None
    if record.explicit is not None or stream.generation > 1:
        headers = []
        if record.explicit is not None:
            headers.append((_HASH_KEY, record.explicit.encode()))
        if stream.generation > 1:
            headers.append((GENERATION, str(stream.generation).encode()))
    return Entry(shard.index, record.key, record.data, headers)
