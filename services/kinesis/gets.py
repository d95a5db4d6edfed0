"""GetShardIterator and GetRecords. A get reads up to the shard's end."""

import asyncio
import time
from typing import Any

from confluent_kafka import KafkaException, Message

from kinesis import sequence, wire
from kinesis.catalog import Catalog
from kinesis.errors import KinesisError, internal, invalid_argument, no_shard, rate_exceeded
from kinesis.limits import ShardLimits
from kinesis.members import Members, stop_dry_run, stream_name
from kinesis.metrics import Metrics
from kinesis.reader import Place, Reader
from kinesis.sequence import POSITION_UNIT, shard_id
from kinesis.settings import Settings
from kinesis.streams import Shard, Stream
from kinesis.tips import Tips
from kinesis.tokens import Position, decode_position, encode_position
from kinesis.writer import GENERATION

MAX_READ_RECORDS = 10_000
MAX_READ_BYTES = 10 * 1024 * 1024
_READS_AT_ONCE = 3


class Gets:
    """The operations that read records."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        reader: Reader,
        tips: Tips,
        limits: ShardLimits | None,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._account = settings.account
        self._catalog = catalog
        self._reader = reader
        self._tips = tips
        self._limits = limits
        self._metrics = metrics
        self._reads = asyncio.Semaphore(_READS_AT_ONCE)

    async def get_shard_iterator(self, members: Members) -> Members:
        """Return an iterator that begins where the request says."""
        name = stream_name(members)
        stream = await self._catalog.look_up(name)
        if stream is None or stream.status == "CREATING":
            raise no_shard(members["ShardId"], name, self._account)
        shard = stream.find(members["ShardId"], self._account)
        stop_dry_run(members)
        offset = await self._start_offset(stream, shard, members)
        position = Position(name, stream.epoch, shard.index, offset)
        return {"ShardIterator": encode_position(await self._catalog.key(), position, _now_ms())}

    async def get_records(self, members: Members, content_type: str) -> bytes:
        """Return the answer's body: records from the iterator on, and the next iterator."""
        key = await self._catalog.key()
        position = decode_position(key, members["ShardIterator"], _now_ms())
        if "StreamARN" in members and stream_name(members) != position.stream:
            raise invalid_argument("StreamARN does not name the stream of the ShardIterator.")
        stream = await self._catalog.look_up(position.stream)
        shard = stream.by_index.get(position.shard) if stream is not None else None
        if stream is None or shard is None or stream.epoch != position.epoch or not stream.writable:
            raise no_shard(shard_id(position.shard), position.stream, self._account)
        stop_dry_run(members)
        which = (stream.name, stream.epoch, shard.index)
        if self._limits is not None and not self._limits.may_read(which):
            self._metrics.throttled.labels(stream.name, "read").inc()
            raise rate_exceeded(shard.id, stream.name, self._account)
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
            known_end = end + 1 if end is not None else self._tips.of((stream.name, stream.epoch, shard.index))
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
        if self._generation is not None and (GENERATION, self._generation) not in (message.headers() or ()):
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
