"""Where reading begins: an offset for a new query, and the check that an old query's offset still fits its streams."""

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pyspark_kinesis import losses
from pyspark_kinesis.client import PATIENCE_SECONDS, Kinesis, StreamState, patiently
from pyspark_kinesis.errors import OffsetError, StreamRecreatedError, UnreachableError
from pyspark_kinesis.offsets import Offset, Position, StreamOffset
from pyspark_kinesis.options import Options
from pyspark_kinesis.prefetch import At, now_ms
from pyspark_kinesis.shards import Shard, children, lineage, outlived, roots

log = logging.getLogger("pyspark_kinesis")


@dataclass
class Beginning:
    """What reading needs to begin at `offset`: all shards and states by stream, iterators that were taken before."""

    offset: Offset = field(default_factory=dict)
    shards: dict[str, list[Shard]] = field(default_factory=dict)
    states: dict[str, StreamState] = field(default_factory=dict)
    iterators: dict[At, str] = field(default_factory=dict)


def begin(kinesis: Kinesis, options: Options, streams: tuple[str, ...] | None = None) -> Beginning:
    """Return the initial offset of `streams` (all by default), by `initialPosition`."""
    found = Beginning()
    for stream in streams if streams is not None else options.streams:
        state = patiently(lambda stream=stream: _active(kinesis, stream))  # type: ignore[misc]
        shards = patiently(lambda stream=stream: kinesis.shards(stream))  # type: ignore[misc]
        found.states[stream], found.shards[stream] = state, shards
        positions: dict[str, Position] = {}
        if options.begin_at.kind == "latest":
            for shard in shards:
                if not shard.closed:
                    at_ms = now_ms()
                    found.iterators[stream, shard.id] = patiently(
                        lambda stream=stream, shard=shard: kinesis.iterator(stream, shard.id, "LATEST")  # type: ignore[misc]
                    )
                    positions[shard.id] = Position(start="latest", at_ms=at_ms, seen_ms=at_ms)
        else:
            position = Position(start=options.begin_at.kind, at_ms=options.begin_at.at_ms)
            positions = {shard.id: position for shard in roots(lineage(shards))}
        found.offset[stream] = StreamOffset(state.created_ms, positions)
    return found


def resume(kinesis: Kinesis, options: Options, offset: Offset) -> Beginning:
    """Return what reading on from a checkpoint's offset needs; streams that are new to it begin by `initialPosition`.

    Raises StreamNotFoundError, StreamRecreatedError, DataLossError (shards that are gone) and OffsetError (streams
    that aren't asked for any more).
    """
    offset = _without_dropped(options, offset)
    found = begin(kinesis, options, tuple(stream for stream in options.streams if stream not in offset))
    for stream, at in offset.items():
        state = patiently(lambda stream=stream: kinesis.state(stream))  # type: ignore[misc]
        check_same(stream, at.created_ms, state)
        shards = patiently(lambda stream=stream: kinesis.shards(stream))  # type: ignore[misc]
        found.states[stream], found.shards[stream] = state, shards
        found.offset[stream] = StreamOffset(at.created_ms, _kept(stream, at, shards, options))
        for shard, position in found.offset[stream].shards.items():
            if position.last is None and losses.may_be_lost(position, now_ms(), state.retention_ms):
                losses.report(stream, shard, position, "nothing of it was read yet", fail=options.fail_on_data_loss)
    return found


def check_same(stream: str, created_ms: int, state: StreamState) -> None:
    """Raise StreamRecreatedError if the stream isn't the one that was created at `created_ms`."""
    if state.created_ms != created_ms:
        raise StreamRecreatedError(
            f"the stream {stream} is another than the one that was read: that was created at {_shown(created_ms)}, "
            f"this one at {_shown(state.created_ms)}. It was deleted and created again; what was unread in the old one "
            "is gone. To read the new one, use a new checkpointLocation (initialPosition=trim_horizon reads it all)."
        )


def _active(kinesis: Kinesis, stream: str) -> StreamState:
    state = kinesis.state(stream)
    if not state.active:
        raise UnreachableError(f"the stream {stream} is still being created after {PATIENCE_SECONDS:.0f} s. Try later.")
    return state


def _without_dropped(options: Options, offset: Offset) -> Offset:
    dropped = [stream for stream in offset if stream not in options.streams]
    if not dropped:
        return offset
    text = (
        f"the checkpoint was written by a query that also read {', '.join(dropped)}; streamName or streamARN names "
        f"only {', '.join(options.streams)} now"
    )
    if options.fail_on_data_loss:
        raise OffsetError(
            f"{text}. Name them all again, start with a new checkpointLocation, or set failOnDataLoss=false to leave "
            "their unread records."
        )
    log.warning("%s; what is unread there is left", text)
    return {stream: at for stream, at in offset.items() if stream in options.streams}


def _kept(stream: str, at: StreamOffset, shards: list[Shard], options: Options) -> dict[str, Position]:
    """Return the positions of the shards that are still there; those that are gone were closed, and expired."""
    known = lineage(shards)
    kept = dict(at.shards)
    for shard, position in at.shards.items():
        if shard in known or (position.ended and children(known, shard)):
            continue
        losses.report(stream, shard, position, "the shard was closed and has expired", fail=options.fail_on_data_loss)
        del kept[shard]
    if len(kept) < len(at.shards):
        kept |= {shard.id: Position(start="trim_horizon") for shard in outlived(known, kept.keys())}
    return kept


def _shown(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
