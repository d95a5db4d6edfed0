"""The operations on streams and shards. Each takes the request's members and returns the answer's.

All of them know what the catalog held when the request came, whichever instance wrote it.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from kinesis.catalog import Catalog
from kinesis.errors import KinesisError, invalid_argument, stream_not_found, validation
from kinesis.lifecycle import Lifecycle
from kinesis.members import Members
from kinesis.named import NamedStreams
from kinesis.sequence import shard_id, shard_index
from kinesis.settings import Settings
from kinesis.streams import (
    MAX_RETENTION_HOURS,
    ON_DEMAND_SHARDS,
    Shard,
    Stream,
    begin_merge,
    begin_split,
    begin_update_count,
    create,
    require_active,
)
from kinesis.tags import require_tags
from kinesis.tokens import decode_page, encode_page
from kinesis.wire import Timestamp

_ON_DEMAND_STREAMS = 50


class Control:
    """The control plane."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        lifecycle: Lifecycle,
        streams: NamedStreams,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._settings = settings
        self._account = settings.account
        self._catalog = catalog
        self._lifecycle = lifecycle
        self._streams = streams
        self._now_ms = now_ms

    async def create_stream(self, members: Members) -> Members:
        """Write a stream in state CREATING; its topic follows."""
        name = members["StreamName"]
        mode = (members.get("StreamModeDetails") or {}).get("StreamMode", "PROVISIONED")
        count = members.get("ShardCount")
        strategy = members.get("RecordDistributionStrategy")
        if mode == "ON_DEMAND":
            count = ON_DEMAND_SHARDS
        elif strategy is not None:
            raise validation("RecordDistributionStrategy is only supported for streams in the on-demand mode.")
        elif count is None:
            raise validation(
                "1 validation error detected: Value null at 'shardCount' failed to satisfy constraint: "
                "Member must not be null"
            )
        if members.get("WarmThroughputMiBps"):
            raise validation("Warm throughput needs an account with a minimum throughput billing commitment.")
        tags = members.get("Tags") or {}
        require_tags(tags, name, self._account)
        await self._catalog.current()
        self._require_free(name)
        self._require_shards(count)
        topics = await self._lifecycle.topics() | {stream.topic for stream in self._catalog.all()}

        def change(before: Stream | None) -> Stream:
            self._require_free(name)
            gone = before if before is not None and before.status == "DELETED" else None
            now_s = self._now_ms() // 1000
            epoch = max(now_s, gone.epoch + 1) if gone else now_s
            return create(
                name,
                count,
                now_s=now_s,
                before=gone,
                topic=_topic(self._settings.topic_prefix + name, epoch, topics),
                mode=mode,
                retention_hours=self._settings.retention_hours,
                max_record_kib=members.get("MaxRecordSizeInKiB", 1024),
                strategy=strategy or "USER_PARTITION_KEY",
                tags=tags,
            )

        await self._catalog.update(name, change)
        self._lifecycle.advance(name)
        return {}

    async def delete_stream(self, members: Members) -> Members:
        """Write that a stream is being deleted; its topic follows."""

        def change(stream: Stream) -> Stream:
            if stream.status not in ("ACTIVE", "UPDATING"):
                require_active(stream, self._account)
            return replace(stream, status="DELETING")

        await self._streams.change(members, change)
        return {}

    async def list_streams(self, members: Members) -> Members:
        """List streams by name."""
        await self._catalog.current()
        limit = min(members.get("Limit", 100), 100)
        after = members.get("ExclusiveStartStreamName", "")
        if token := members.get("NextToken"):
            after = decode_page(await self._catalog.key(), token, self._now_ms()).get("stream", "")
        streams = [stream for stream in self._catalog.all() if stream.name > after]
        shown = streams[:limit]
        answer: Members = {
            "StreamNames": [stream.name for stream in shown],
            "HasMoreStreams": len(streams) > limit,
            "StreamSummaries": [
                {
                    "StreamName": stream.name,
                    "StreamARN": self._arn(stream),
                    "StreamStatus": stream.status,
                    "StreamModeDetails": {"StreamMode": stream.mode},
                    "StreamCreationTimestamp": _created(stream),
                }
                for stream in shown
            ],
        }
        if len(streams) > limit:
            key = await self._catalog.key()
            answer["NextToken"] = encode_page(key, {"stream": shown[-1].name}, self._now_ms())
        return answer

    async def describe_stream(self, members: Members) -> Members:
        """Describe a stream and a page of its shards."""
        stream = await self._streams.get(members)
        limit = min(members.get("Limit", 100), 100)
        shards = self._listed(stream, members.get("ExclusiveStartShardId"))
        description = {
            **self._described(stream),
            "Shards": [shard_json(stream, shard) for shard in shards[:limit]],
            "HasMoreShards": len(shards) > limit,
        }
        return {"StreamDescription": description}

    async def describe_stream_summary(self, members: Members) -> Members:
        """Describe a stream without its shards."""
        stream = await self._streams.get(members)
        summary = {
            **self._described(stream),
            "OpenShardCount": len(stream.open_shards),
            "ConsumerCount": 0,
            "MaxRecordSizeInKiB": stream.max_record_kib,
            "ChannelCount": 0,
        }
        if stream.mode == "ON_DEMAND":
            summary["RecordDistributionStrategy"] = stream.strategy
        return {"StreamDescriptionSummary": summary}

    async def describe_limits(self, _members: Members) -> Members:
        """Tell how many shards there are and may be."""
        await self._catalog.current()
        streams = self._catalog.all()
        return {
            "ShardLimit": self._settings.shard_limit,
            "OpenShardCount": sum(len(stream.open_shards) for stream in streams if stream.mode == "PROVISIONED"),
            "OnDemandStreamCount": sum(stream.mode == "ON_DEMAND" for stream in streams),
            "OnDemandStreamCountLimit": _ON_DEMAND_STREAMS,
        }

    async def list_shards(self, members: Members) -> Members:
        """List a page of a stream's shards, filtered."""
        token = members.get("NextToken")
        if token is not None:
            given = {"StreamName", "StreamARN", "StreamCreationTimestamp", "ExclusiveStartShardId", "ShardFilter"}
            if given & members.keys():
                raise invalid_argument("NextToken and StreamName cannot be provided together.")
            page = decode_page(await self._catalog.key(), token, self._now_ms())
            if "shard" not in page:
                raise invalid_argument("Invalid NextToken.")
            stream = await self._streams.get({"StreamName": page["stream"]})
            if stream.epoch != page["epoch"]:
                raise stream_not_found(stream.name, self._account)
            members = {**members, "ShardFilter": page["filter"]}
            after = page["shard"]
        else:
            if not {"StreamName", "StreamARN"} & members.keys():
                raise invalid_argument("Either NextToken or StreamName should be provided.")
            stream = await self._streams.get(members)
            created = members.get("StreamCreationTimestamp")
            if created is not None and int(created) != stream.epoch:
                raise stream_not_found(stream.name, self._account)
            after = members.get("ExclusiveStartShardId")
        wanted = members.get("ShardFilter")
        shards = self._filtered(stream, self._listed(stream, after), wanted)
        limit = min(members.get("MaxResults", 1000), 1000)
        answer: Members = {"Shards": [shard_json(stream, shard) for shard in shards[:limit]]}
        if len(shards) > limit:
            page = {"stream": stream.name, "epoch": stream.epoch, "shard": shards[limit - 1].id, "filter": wanted}
            answer["NextToken"] = encode_page(await self._catalog.key(), page, self._now_ms())
        return answer

    async def split_shard(self, members: Members) -> Members:
        """Begin to split a shard."""
        new_start = int(members["NewStartingHashKey"])

        def change(stream: Stream) -> Stream:
            changed = begin_split(stream, members["ShardToSplit"], new_start, self._account)
            self._require_shards(1)
            return changed

        await self._streams.change(members, change)
        return {}

    async def merge_shards(self, members: Members) -> Members:
        """Begin to merge two shards."""
        shards = members["ShardToMerge"], members["AdjacentShardToMerge"]
        await self._streams.change(members, lambda stream: begin_merge(stream, *shards, self._account))
        return {}

    async def update_shard_count(self, members: Members) -> Members:
        """Begin to bring a stream to a number of equal shards."""
        target = members["TargetShardCount"]
        counts: list[int] = []

        def change(stream: Stream) -> Stream:
            self._require_shards(target - len(stream.open_shards))
            counts.append(len(stream.open_shards))
            return begin_update_count(stream, target, self._account, limits=self._settings.limits)

        stream = await self._streams.change(members, change)
        return {
            "StreamName": stream.name,
            "CurrentShardCount": counts[-1],
            "TargetShardCount": target,
            "StreamARN": self._arn(stream),
        }

    async def update_stream_mode(self, members: Members) -> Members:
        """Change the mode. The shards stay as they are."""
        mode = members["StreamModeDetails"]["StreamMode"]
        if members.get("WarmThroughputMiBps"):
            raise validation("Warm throughput needs an account with a minimum throughput billing commitment.")

        def change(stream: Stream) -> Stream:
            require_active(stream, self._account)
            return replace(stream, mode=mode, strategy="USER_PARTITION_KEY", status="UPDATING")

        await self._streams.change(members, change)
        return {}

    async def increase_retention(self, members: Members) -> Members:
        """Lengthen the retention period."""
        hours = members["RetentionPeriodHours"]
        self._require_hours(hours)

        def change(stream: Stream) -> Stream:
            require_active(stream, self._account)
            if hours < stream.retention_hours:
                raise invalid_argument(
                    f"Requested retention period ({hours} hours) for stream {stream.name} can not be shorter than "
                    f"existing retention period ({stream.retention_hours} hours). Use DecreaseRetentionPeriod API."
                )
            return replace(stream, retention_hours=hours, status="UPDATING")

        await self._streams.change(members, change)
        return {}

    async def decrease_retention(self, members: Members) -> Members:
        """Shorten the retention period."""
        hours = members["RetentionPeriodHours"]
        self._require_hours(hours)

        def change(stream: Stream) -> Stream:
            require_active(stream, self._account)
            if hours > stream.retention_hours:
                raise invalid_argument(
                    f"Requested retention period ({hours} hours) for stream {stream.name} can not be longer than "
                    f"existing retention period ({stream.retention_hours} hours). Use IncreaseRetentionPeriod API."
                )
            return replace(stream, retention_hours=hours, status="UPDATING")

        await self._streams.change(members, change)
        return {}

    def _listed(self, stream: Stream, after: str | None) -> list[Shard]:
        if stream.status == "CREATING":
            return []
        first = -1
        if after is not None:
            index = shard_index(after)
            if index is None:
                raise invalid_argument(f"ExclusiveStartShardId {after} is not the id of a shard.")
            first = index
        return [shard for shard in stream.visible_shards(self._now_ms()) if shard.index > first]

    def _filtered(self, stream: Stream, shards: list[Shard], wanted: Members | None) -> list[Shard]:
        if wanted is None:
            return shards
        kind = wanted["Type"]
        horizon = self._now_ms() - stream.retention_ms
        if kind == "AFTER_SHARD_ID":
            index = shard_index(wanted.get("ShardId") or "")
            if index is None:
                raise invalid_argument("ShardId has to be provided with ShardFilter type AFTER_SHARD_ID.")
            return [shard for shard in shards if shard.index > index]
        if kind == "AT_LATEST":
            return [shard for shard in shards if shard.open]
        if kind in ("AT_TIMESTAMP", "FROM_TIMESTAMP"):
            if wanted.get("Timestamp") is None:
                raise invalid_argument(f"Timestamp has to be provided with ShardFilter type {kind}.")
            horizon = max(horizon, int(wanted["Timestamp"] * 1000))
        if kind.startswith("FROM"):
            return [shard for shard in shards if shard.closed_ms is None or shard.closed_ms >= horizon]
        began = max(horizon, stream.epoch * 1000)
        return [
            shard
            for shard in shards
            if stream.opened_ms(shard) <= began and (shard.closed_ms is None or shard.closed_ms > began)
        ]

    def _described(self, stream: Stream) -> Members:
        return {
            "StreamName": stream.name,
            "StreamARN": self._arn(stream),
            "StreamStatus": stream.status,
            "StreamModeDetails": {"StreamMode": stream.mode},
            "RetentionPeriodHours": stream.retention_hours,
            "StreamCreationTimestamp": _created(stream),
            "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
            "EncryptionType": "NONE",
        }

    def _arn(self, stream: Stream) -> str:
        return f"arn:aws:kinesis:{self._settings.region}:{self._account}:stream/{stream.name}"

    def _require_free(self, name: str) -> None:
        if self._catalog.get(name) is not None:
            raise KinesisError("ResourceInUseException", f"Stream {name} under account {self._account} already exists.")

    def _require_shards(self, more: int) -> None:
        count = sum(len(stream.open_shards) for stream in self._catalog.all())
        limit = self._settings.shard_limit
        if count + more > limit:
            raise KinesisError(
                "LimitExceededException",
                f"This request would exceed the shard limit for the account {self._account} in "
                f"{self._settings.region}. Current shard count for the account: {count}. Limit: {limit}. Number of "
                f"additional shards that would have resulted from this request: {more}.",
            )

    def _require_hours(self, hours: int) -> None:
        least = min(24, self._settings.retention_hours)
        if hours < least:
            raise invalid_argument(
                f"Minimum allowed retention period is {least} hours. Requested retention period ({hours} hours) is "
                "too short."
            )
        if hours > MAX_RETENTION_HOURS:
            raise invalid_argument(
                f"Maximum allowed retention period is {MAX_RETENTION_HOURS} hours. Requested retention period "
                f"({hours} hours) is too long."
            )


def shard_json(stream: Stream, shard: Shard) -> Members:
    """Return a shard as AWS describes it."""
    numbers = {"StartingSequenceNumber": str(stream.sequence(shard, 0))}
    if shard.ending is not None:
        numbers["EndingSequenceNumber"] = str(stream.sequence(shard, shard.ending + 1))
    described: Members = {
        "ShardId": shard.id,
        "HashKeyRange": {"StartingHashKey": str(shard.start), "EndingHashKey": str(shard.end)},
        "SequenceNumberRange": numbers,
    }
    for key, parent in zip(("ParentShardId", "AdjacentParentShardId"), shard.parents, strict=False):
        described[key] = shard_id(parent)
    return described


def _created(stream: Stream) -> Timestamp:
    return Timestamp(stream.epoch * 1000)


def _topic(name: str, epoch: int, topics: set[str]) -> str:
    """Return `name`, or one with the epoch if a topic has it or one that Kafka takes for the same (a.b and a_b)."""
    taken = {topic.replace(".", "_") for topic in topics}
    return f"{name}.{epoch}" if name.replace(".", "_") in taken else name
