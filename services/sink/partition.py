"""One partition's writer: records in, actions out, one at a time, in the order that makes each offset written once.

    LOCATING → SEEKING → BUFFERING → ROTATING → BUFFERING ...      STOPPED and CLOSED are final

- LOCATING: the position comes from S3: after the end of the partition's last object, or where its log begins.
- ROTATING: a batch is cut. Its dead letters are acknowledged, then its object is PUT; the next one fills meanwhile.
- After an S3 error, and when the last check is older than 5 s, the partition's previous object must still be there;
  otherwise all that is held is dropped and the position is taken anew. The object checked last time is checked again,
  so objects that were written into an emptied bucket between two checks don't hide that the others are gone.
- 412: the object that is there says where to go on. An object of another topic id, or not of ours: STOPPED.
- Dead letters that no record follows are read again after a restart, and then sent twice (same origin in the headers).

Pure but for a lock: it does no I/O and is given the time, so that interleavings of several owners can be tested.
"""

import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from pinline import objects
from pinline.objects import ObjectRange
from sink import formats, rotation
from sink.actions import Action, Answer, Check, DeadLetterError, Failure, Locate, Located, LogError, Put, Resolve, Send
from sink.buffer import Batch, Buffer, Record
from sink.rotation import Limits, Reason
from sink.store import REFILLED_TO, StoreError

CHECK_EVERY_S = 5.0
_BACKOFF_S = 0.1
_BACKOFF_MAX_S = 5.0


class State(Enum):
    """What a partition is doing."""

    LOCATING = "locating"
    SEEKING = "seeking"
    BUFFERING = "buffering"
    ROTATING = "rotating"
    STOPPED = "stopped"
    CLOSED = "closed"


@dataclass(frozen=True)
class Rules:
    """How records become objects; the same for all partitions."""

    limits: Limits
    topics_dir: str = objects.TOPICS_DIR
    compress: bool = False
    tolerate_bad_records: bool = True
    fail_on_null: bool = False


class Observer:
    """What a writer tells: override what you want to know."""

    def rotated(self, writer: "PartitionWriter", batch: Batch) -> None:
        """A batch is safe: its dead letters are in Kafka, its object in S3."""

    def null(self, writer: "PartitionWriter") -> None:
        """A null value was ignored."""

    def failed(self, writer: "PartitionWriter", failure: Failure) -> None:
        """An action failed and will be tried again."""

    def relocating(self, writer: "PartitionWriter", why: str) -> None:
        """What was held was dropped; the position is taken anew."""

    def stopped(self, writer: "PartitionWriter", error: str) -> None:
        """The partition stopped; a person has to decide."""


class PartitionWriter:
    """The writer of one assigned partition."""

    def __init__(self, topic: str, partition: int, topic_id: str, rules: Rules, observer: Observer) -> None:
        self.topic = topic
        self.partition = partition
        self.topic_id = topic_id
        self.error: str | None = None
        self.done_offset: int | None = None
        """Every offset before it is in an object, a dead letter or an ignored null."""
        self._rules = rules
        self._observer = observer
        self._lock = threading.RLock()
        self._located = False
        self._seek: int | None = None
        self._closed = False
        self._stopping = False
        self._not_before = 0.0
        self._failures = 0
        self._next_offset = -1
        self._ceiling: int | None = None
        self._filled_in_vain: int | None = None
        self._previous: str | None = None
        self._anchor: str | None = None
        self._checked_at = 0.0
        self._must_check = False
        self._conflict = False
        self._buffer = Buffer()
        self._batch: Batch | None = None
        self._letters_sent = False
        self._backlog: list[Record] = []
        self._taken = 0
        self._last_null = -1

    @property
    def state(self) -> State:
        """What the partition is doing."""
        with self._lock:
            if self._closed:
                return State.CLOSED
            if self.error is not None:
                return State.STOPPED
            if not self._located:
                return State.LOCATING
            if self._seek is not None:
                return State.SEEKING
            return State.ROTATING if self._batch else State.BUFFERING

    @property
    def wants_records(self) -> bool:
        """False while records must wait: fetching is to be paused."""
        with self._lock:
            return self.state in (State.BUFFERING, State.ROTATING) and self._taken == len(self._backlog)

    @property
    def idle(self) -> bool:
        """True if nothing is held that `shut_down` would still have to write."""
        with self._lock:
            held = self._batch is not None or not self._buffer.empty or self._taken < len(self._backlog)
            return self.state not in (State.BUFFERING, State.ROTATING) or not held

    @property
    def next_offset(self) -> int:
        """The offset that the next record may have."""
        return self._next_offset

    def take_seek(self) -> int | None:
        """Return the offset that the consumer must be moved to now, once; records are refused until then."""
        with self._lock:
            if self.state is not State.SEEKING:
                return None
            position, self._seek = self._seek, None
            return position

    def feed(self, records: Sequence[Record], now: float) -> None:
        """Take records in offset order. Those before the position are refused (read before a seek)."""
        with self._lock:
            if self.state not in (State.BUFFERING, State.ROTATING):
                return
            self._backlog = [*self._backlog[self._taken :], *(r for r in records if r.offset >= self._next_offset)]
            self._taken = 0
            if self._backlog:
                self._next_offset = self._backlog[-1].offset + 1
            self._absorb(now)

    def pass_over(self, position: int) -> None:
        """Take note that no record is left before `position`: what lies there are markers of transactions."""
        with self._lock:
            waiting = self._taken < len(self._backlog)
            if self.state in (State.BUFFERING, State.ROTATING) and not waiting and position > self._next_offset:
                self._next_offset = position
                self._advance()

    def next(self, now: float) -> Action | None:
        """Return what is to be done now, the same until `done` is called; None if nothing is."""
        with self._lock:
            if self._closed or self.error is not None or now < self._not_before:
                return None
            if not self._located:
                return Locate()
            if self._seek is not None:
                return None
            if self._anchor and (self._must_check or now - self._checked_at > CHECK_EVERY_S):
                return Check(tuple(dict.fromkeys(key for key in (self._anchor, self._previous) if key)))
            self._absorb(now)
            if self._batch is None:
                return Locate() if self._at_ceiling() and self._restart_location() else None
            if self._batch.dead_letters and not self._letters_sent:
                return Send(self._batch.dead_letters)
            key = self._batch.key or ""
            return Resolve(key) if self._conflict else Put(key, self._batch.body, self._batch.metadata)

    def done(self, action: Action, answer: Answer | Failure, now: float) -> None:
        """Take the outcome of `action`."""
        with self._lock:
            if self._closed or self.error is not None:
                return
            if isinstance(answer, StoreError | DeadLetterError | LogError):
                self._fail(answer, now)
                return
            self._failures = 0
            match action, answer:
                case Locate(), Located():
                    self._locate(answer, now)
                case Send(), _:
                    self._letters_sent = True
                    if self._batch and self._batch.key is None:
                        self._finish(now)
                case Check(), True:
                    self._anchor, self._checked_at, self._must_check = self._previous, now, False
                case Check(keys), _:
                    self._relocate(f"an object that was written is gone: one of {', '.join(keys)}")
                case Put(), True:
                    self._finish(now)
                case Put(), _:
                    self._conflict = True
                case Resolve(key), metadata:
                    self._resolve(key, metadata if isinstance(metadata, Mapping) else None, now)

    def stop(self, error: str) -> None:
        """Stop for good with an error that says what to do."""
        with self._lock:
            if self._closed or self.error is not None:
                return
            self._drop()
            self.error = error
        self._observer.stopped(self, error)

    def shut_down(self) -> None:
        """Cut what is held now; no more records will come."""
        with self._lock:
            self._stopping = True

    def close(self) -> None:
        """Revoked or lost: drop what is held, do nothing more."""
        with self._lock:
            self._drop()
            self._closed = True

    # Records to batches

    def _absorb(self, now: float) -> None:
        """Move records from the backlog into the buffer, and cut it when it is full and no batch is on its way."""
        limits = self._rules.limits
        while self.error is None:
            reason = rotation.full(self._buffer.fill(now), limits)
            record = self._backlog[self._taken] if self._taken < len(self._backlog) else None
            if reason is None and not self._buffer.empty:
                reason = self._reason_before(record)
            if reason:
                if self._batch is not None:
                    return
                self._cut(reason)
                continue
            if record is None or self._at_ceiling():
                self._advance()
                return
            self._taken += 1
            self._take(record, now)

    def _reason_before(self, record: Record | None) -> Reason | None:
        """A reason to cut that the next record gives, or that there is none."""
        if self._at_ceiling():
            return Reason.NEXT_OBJECT
        if record is None:
            return Reason.SHUTDOWN if self._stopping else None
        interval = self._rules.limits.record_time_ms
        if interval and self._buffer.lines and record.timestamp - self._buffer.first_timestamp >= interval:
            return Reason.RECORD_TIME
        return None

    def _at_ceiling(self) -> bool:
        if self._ceiling is None:
            return False
        record = self._backlog[self._taken] if self._taken < len(self._backlog) else None
        return (record.offset if record else self._next_offset) >= self._ceiling

    def _take(self, record: Record, now: float) -> None:
        value = record.value
        if value is None or formats.is_null(value):
            if self._rules.fail_on_null:
                self.stop(self._bad_record(record, "has no value, and behavior.on.null.values is fail"))
                return
            self._buffer.add_null(record, now)
            if record.offset > self._last_null:
                self._last_null = record.offset
                self._observer.null(self)
            return
        try:
            line = formats.to_line(value)
        except formats.NotJsonError as error:
            if not self._rules.tolerate_bad_records:
                self.stop(self._bad_record(record, f"is {error}, and errors.tolerance is none"))
                return
            self._buffer.add_dead_letter(record, str(error), now)
            return
        self._buffer.add_line(record, line, now)

    def _bad_record(self, record: Record, what: str) -> str:
        return (
            f"record {self.topic}-{self.partition}@{record.offset} {what}; the partition stopped before it. "
            "Set errors.tolerance=all (behavior.on.null.values=ignore for nulls) and restart the sink."
        )

    def _cut(self, reason: Reason) -> None:
        buffer, rules = self._buffer, self._rules
        suffix = ".json.gz" if rules.compress else ".json"
        key = None
        if buffer.lines:
            key = objects.object_key(
                self.topic, self.partition, buffer.first_record, topics_dir=rules.topics_dir, suffix=suffix
            )
        mark = {} if self._ceiling is None else {REFILLED_TO: str(self._ceiling)}
        self._batch = buffer.cut(key, self.topic_id, reason, mark, compress=rules.compress)
        self._letters_sent = False
        self._conflict = False
        self._buffer = Buffer()

    def _finish(self, now: float) -> None:
        batch, self._batch, self._conflict = self._batch, None, False
        if batch is None:
            return
        if batch.key:
            self._previous = batch.key
            if self._anchor is None:
                self._anchor, self._checked_at = batch.key, now
        self._observer.rotated(self, batch)
        self._advance()

    def _advance(self) -> None:
        """Everything that isn't held any more is done."""
        if self._batch is not None:
            offset = self._batch.consumed_from
        elif not self._buffer.empty:
            offset = self._buffer.consumed_from
        elif self._taken < len(self._backlog):
            offset = self._backlog[self._taken].offset
        else:
            offset = self._next_offset
        self.done_offset = max(offset, self.done_offset or 0)

    # Positions

    def _locate(self, found: Located, now: float) -> None:
        last = found.last
        if last is None:
            self._start(found.log_start, None, None, now)
            return
        if (end := self._end_of(last.key, last.range)) is None:
            return
        hole = last.hole
        if last.covered_from > found.log_start:
            hole = (found.log_start, last.covered_from)
        if hole and hole[1] != self._filled_in_vain:
            self._start(hole[0], None, hole[1], now)
            return
        self._start(end + 1, last.key, None, now)

    def _start(self, position: int, previous: str | None, ceiling: int | None, now: float) -> None:
        self._located = True
        self._filled_in_vain = None
        self._seek = self._next_offset = self.done_offset = position
        self._previous = self._anchor = previous
        self._ceiling = ceiling
        self._checked_at, self._must_check = now, False

    def _resolve(self, key: str, metadata: Mapping[str, str] | None, now: float) -> None:
        """A 412: go on after the object that is there."""
        self._conflict = False
        if metadata is None or self._batch is None:
            return
        there = ObjectRange.from_metadata(metadata)
        if (end := self._end_of(key, there)) is None:
            return
        if end == self._batch.last_offset:  # our own PUT, whose answer never came, or another owner's same batch
            self._finish(now)
            return
        ceiling = self._ceiling
        self._drop()
        if ceiling is not None and end + 1 >= ceiling:
            self._restart_location()
        else:
            self._start(end + 1, key, ceiling, now)

    def _end_of(self, key: str, there: ObjectRange | None) -> int | None:
        """Return the last offset of an object; None after stopping because it isn't of this topic."""
        if there is not None and there.topic_id == self.topic_id:
            return there.last_offset
        found = f"topic id {there.topic_id}" if there else "no metadata of this sink"
        self.stop(
            f"the object {key} has {found}, the topic {self.topic} in Kafka has the id {self.topic_id}: the topic was "
            "deleted and made again, or another program wrote the object. Nothing was written. Choose: move or delete "
            f"the objects under {objects.partition_prefix(self.topic, self.partition, self._rules.topics_dir)}, or set "
            "another topics.dir or bucket for the new topic, then restart the sink."
        )
        return None

    def _relocate(self, why: str) -> None:
        self._drop()
        self._located = False
        self._observer.relocating(self, why)

    def _restart_location(self) -> bool:
        """The hole before the ceiling is filled: find the end of what follows it."""
        if self._previous is None:
            self._filled_in_vain = self._ceiling  # it held no record, and will look like a hole again
        self._drop()
        self._located = False
        return True

    def _drop(self) -> None:
        self._buffer, self._batch, self._backlog, self._taken = Buffer(), None, [], 0
        self._seek, self._ceiling, self._conflict = None, None, False

    def _fail(self, failure: Failure, now: float) -> None:
        self._failures += 1
        pause = min(_BACKOFF_MAX_S, _BACKOFF_S * 2 ** min(self._failures, 10))
        self._not_before = now + pause * random.uniform(0.5, 1)  # noqa: S311  # jitter
        if isinstance(failure, StoreError):
            self._must_check = True
        self._observer.failed(self, failure)
