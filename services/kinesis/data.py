"""The operations on records: PutRecord, PutRecords, GetShardIterator, GetRecords.

A put answers with a sequence number when Kafka has acknowledged the record and it stands before its shard's end; a
record that a closing shard left behind its end is written again to a child. A get reads up to the shard's end.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message

from kinesis import sequence, wire
from kinesis.catalog import Catalog
from kinesis.control import Members, stream_name
from kinesis.errors import KinesisError, internal, invalid_argument, stream_not_found, validation
from kinesis.limits import ShardLimits
from kinesis.metrics import Metrics
from kinesis.reader import UNKNOWN_PLACE, Place, Reader
from kinesis.sequence import HASH_KEYS, POSITION_UNIT, hash_key, shard_id
from kinesis.settings import Settings
from kinesis.streams import Shard, Stream
from kinesis.tokens import Position, decode_position, encode_position
from kinesis.writer import Entry, Writer

MAX_REQUEST_BYTES = 10 * 1024 * 1024
MAX_READ_RECORDS = 10_000
MAX_READ_BYTES = 10 * 1024 * 1024
_PUT_TIMEOUT_S = 20.0
_READS_AT_ONCE = 3
_GENERATION = "g"
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


class Data:
    """The data plane."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        writer: Writer,
        reader: Reader,
        limits: ShardLimits | None,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._account = settings.account
        self._catalog = catalog
        self._writer = writer
        self._reader = reader
        self._limits = limits
        self._metrics = metrics
        self._tips: dict[tuple[str, int, int], int] = {}
        self._reads = asyncio.Semaphore(_READS_AT_ONCE)

    def forget(self, stream: Stream) -> None:
        """Forget a stream that is gone."""
        for shard in [shard for shard in self._tips if shard[:2] == (stream.name, stream.epoch)]:
            del self._tips[shard]
        if self._limits is not None:
            self._limits.forget(stream.name, stream.epoch)

    async def put_record(self, members: Members) -> Members:
        """Write one record."""
        stream = await self._writable(members)
        self._require_ordering(members.get("SequenceNumberForOrdering"), stream)
        record = self._record(members, stream, "partitionKey")
        _stop_dry_run(members)
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
        _stop_dry_run(members)
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

    async def get_shard_iterator(self, members: Members) -> Members:
        """Return an iterator that begins where the request says."""
        name = stream_name(members)
        stream = await self._known(name)
        if stream is None or stream.status == "CREATING":
            raise self._no_shard(members["ShardId"], name)
        shard = stream.find(members["ShardId"], self._account)
        _stop_dry_run(members)
        offset = await self._start_offset(stream, shard, members)
        position = Position(name, stream.epoch, shard.index, offset)
        return {"ShardIterator": encode_position(await self._catalog.key(), position, _now_ms())}

    async def get_records(self, members: Members, content_type: str) -> bytes:
        """Return the answer's body: records from the iterator on, and the next iterator."""
        key = await self._catalog.key()
        position = decode_position(key, members["ShardIterator"], _now_ms())
        if "StreamARN" in members and stream_name(members) != position.stream:
            raise invalid_argument("StreamARN does not name the stream of the ShardIterator.")
        stream = await self._known(position.stream)
        shard = stream.by_index.get(position.shard) if stream is not None else None
        if stream is None or shard is None or stream.epoch != position.epoch or not stream.writable:
            raise self._no_shard(shard_id(position.shard), position.stream)
        _stop_dry_run(members)
        which = (stream.name, stream.epoch, shard.index)
        if self._limits is not None and not self._limits.may_read(which):
            self._metrics.throttled.labels(stream.name, "read").inc()
            raise self._rate_exceeded(shard, stream)
        limit = min(members.get("Limit", MAX_READ_RECORDS), MAX_READ_RECORDS)
        async with self._reads:
            try:
                body, count, size, behind = await asyncio.get_running_loop().run_in_executor(
                    self._reader.threads, self._read, key, stream, shard, position.offset, limit, content_type
                )
            except KafkaException as error:
                raise internal(f"Kafka does not answer ({self._settings.servers}): {error}") from None
        if self._limits is not None:
            self._limits.have_read(which, size)
        self._metrics.read(stream.name, count, size, behind)
        return body

    async def _known(self, name: str) -> Stream | None:
        """Return a stream; one that isn't known here may have been made elsewhere just now."""
        stream = self._catalog.get(name)
        if stream is None or stream.status == "CREATING":
            await self._catalog.current()
            stream = self._catalog.get(name)
        return stream

    async def _writable(self, members: Members) -> Stream:
        name = stream_name(members)
        stream = await self._known(name)
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
                    results[index] = self._rate_exceeded(shard, stream)
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
            which = (stream.name, stream.epoch, shard.index)
            if outcome >= self._tips.get(which, 0):
                self._tips[which] = outcome + 1
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

    def _rate_exceeded(self, shard: Shard, stream: Stream) -> KinesisError:
        return KinesisError(
            "ProvisionedThroughputExceededException",
            f"Rate exceeded for shard {shard.id} in stream {stream.name} under account {self._account}.",
        )

    def _no_shard(self, shard: str, name: str) -> KinesisError:
        return KinesisError(
            "ResourceNotFoundException",
            f"Shard {shard} in stream {name} under account {self._account} does not exist",
        )

    async def _start_offset(self, stream: Stream, shard: Shard, members: Members) -> int:
        kind = members["ShardIteratorType"]
        text = members.get("StartingSequenceNumber")
        if kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER") and text is None:
            raise _iterator_arguments(kind, "no")
        if kind in ("TRIM_HORIZON", "LATEST") and text is not None:
            raise _iterator_arguments(kind, "also a")
        if kind == "TRIM_HORIZON":
            return 0
        if text is not None and kind != "AT_TIMESTAMP":
            position = self._position(stream, shard, text)
            if kind == "AFTER_SEQUENCE_NUMBER":
                return position
            return max(0, position - 1)
        place = Place(stream.topic, shard.index, stream.epoch)
        timestamp_ms = 0
        if kind == "AT_TIMESTAMP":
            timestamp_ms = _timestamp_ms(members)
        elif shard.ending is not None:
            return shard.ending
        loop = asyncio.get_running_loop()
        try:
            if kind == "LATEST":
                return await loop.run_in_executor(self._reader.threads, self._reader.end_offset, place)
            found = await loop.run_in_executor(self._reader.threads, self._reader.offset_at, place, timestamp_ms)
        except KafkaException as error:
            raise internal(f"Kafka does not answer ({self._settings.servers}): {error}") from None
        return min(found, shard.ending) if shard.ending is not None else found

    def _position(self, stream: Stream, shard: Shard, text: str) -> int:
        where = (
            f"StartingSequenceNumber {text} used in GetShardIterator on shard {shard.id} in stream {stream.name} "
            f"under account {self._account} is invalid"
        )
        found = sequence.decode(text)
        if found is None:
            raise invalid_argument(f"{where}.")
        if found.stream_epoch != stream.epoch:
            raise invalid_argument(f"{where} because it did not come from this stream.")
        if found.shard != shard.index:
            raise invalid_argument(
                f"Invalid StartingSequenceNumber. It encodes {shard_id(found.shard)}, while it was used in a call to "
                f"a shard with {shard.id}"
            )
        if found.shard_created != shard.created:
            raise invalid_argument(f"{where} because it did not come from this stream.")
        return found.position

    def _read(
        self, key: bytes, stream: Stream, shard: Shard, offset: int, limit: int, content_type: str
    ) -> tuple[bytes, int, int, int]:
        """Return the body, records, bytes and milliseconds behind. Blocks; runs on a thread."""
        end = shard.ending
        messages: list[Message] = []
        at_end = True
        now_ms = _now_ms()
        place = Place(stream.topic, shard.index, stream.epoch)
        if end is None or offset < end:
            known_end = end + 1 if end is not None else self._tips.get((stream.name, stream.epoch, shard.index), 0)
            horizon = now_ms - stream.retention_ms
            messages, at_end = self._reader.fetch(
                place, offset, limit=limit, max_bytes=MAX_READ_BYTES, known_end=known_end
            )
            if messages and messages[0].timestamp()[1] < horizon:
                offset = self._reader.offset_at(place, horizon)
                messages, at_end = self._reader.fetch(
                    place, offset, limit=limit, max_bytes=MAX_READ_BYTES, known_end=known_end
                )
        found = _Found(stream, shard, offset)
        for message in messages:
            if not found.take(message, cbor=content_type == wire.CBOR):
                at_end = True
                break
        ended = end is not None and (found.next >= end or (not messages and self._trimmed(place, end)))
        behind = 0 if at_end or ended else max(1, now_ms - messages[-1].timestamp()[1])
        answer: Members = {"Records": found.records, "MillisBehindLatest": behind}
        if ended:
            answer["ChildShards"] = [
                {
                    "ShardId": child.id,
                    "ParentShards": [shard_id(parent) for parent in child.parents],
                    "HashKeyRange": {"StartingHashKey": str(child.start), "EndingHashKey": str(child.end)},
                }
                for child in stream.children_of(shard)
            ]
        else:
            position = Position(stream.name, stream.epoch, shard.index, found.next)
            answer["NextShardIterator"] = encode_position(key, position, _now_ms())
        return wire.encode_plain(answer, content_type), len(found.records), found.size, behind

    def _trimmed(self, place: Place, end: int) -> bool:
        """Whether a closed shard's records are all older than the retention period, and gone."""
        return self._reader.first_offset(place) > end


class _Found:
    """The records of one answer."""

    def __init__(self, stream: Stream, shard: Shard, offset: int) -> None:
        self.records: list[Members] = []
        self.next = offset
        self.size = 0
        self._end = shard.ending
        self._first = stream.sequence(shard, 1)
        # the first generation's records carry none, which spares a header
        self._generation = str(stream.generation).encode() if stream.generation > 1 else None

    def take(self, message: Message, *, cbor: bool) -> bool:
        """Add a record; False at the shard's end."""
        offset: int = message.offset()  # type: ignore[assignment]
        if self._end is not None and offset >= self._end:
            self.next = self._end
            return False
        value: Any = message.value()
        if value is None:
            if self._end is None:  # the shard is closing; what this marker means isn't known here yet
                return False
            self.next = offset + 1
            return True
        self.next = offset + 1
        if self._generation is not None and (_GENERATION, self._generation) not in (message.headers() or ()):
            return True
        arrival: int = message.timestamp()[1]
        key: Any = message.key()
        record: Members = {
            "SequenceNumber": str(self._first + offset * POSITION_UNIT),
            "ApproximateArrivalTimestamp": wire.cbor_time(arrival) if cbor else arrival / 1000,
            "Data": value if cbor else wire.base64(value),
        }
        self.size += len(value)
        if key is not None:
            record["PartitionKey"] = key.decode()
            self.size += len(key)
        self.records.append(record)
        return True


def _entry(record: _Record, shard: Shard, stream: Stream) -> Entry:
    headers: list[tuple[str, bytes]] | None = None
    if record.explicit is not None or stream.generation > 1:
        headers = []
        if record.explicit is not None:
            headers.append((_HASH_KEY, record.explicit.encode()))
        if stream.generation > 1:
            headers.append((_GENERATION, str(stream.generation).encode()))
    return Entry(shard.index, record.key, record.data, headers)


def _stop_dry_run(members: Members) -> None:
    if members.get("DryRun"):
        raise KinesisError("DryRunOperationException", "The request would have succeeded, but the DryRun flag is set.")


def _iterator_arguments(kind: str, number: str) -> KinesisError:
    return invalid_argument(
        "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) "
        f"TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified {kind} and {number} "
        "StartingSequenceNumber."
    )


def _timestamp_ms(members: Members) -> int:
    timestamp = members.get("Timestamp")
    if timestamp is None:
        raise invalid_argument(
            "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no "
            "timestamp parameter."
        )
    wanted, now_ms = int(timestamp * 1000), _now_ms()
    if wanted > now_ms:
        raise invalid_argument(
            "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "
            f"timestampInMillis: {wanted}, currentTimestampInMillis: {now_ms}"
        )
    return max(0, wanted)


def _now_ms() -> int:
    return int(time.time() * 1000)
