"""The operations on a stream's tags."""

import re
from dataclasses import replace

from kinesis.errors import KinesisError, invalid_argument
from kinesis.members import Members
from kinesis.named import NamedStreams
from kinesis.streams import Stream

_MAX_TAGS = 50
_TAG = re.compile(r"[\w\s.:/=+\-@]*")


class Tags:
    """Set, removed and listed."""

    def __init__(self, streams: NamedStreams, account: str) -> None:
        self._streams = streams
        self._account = account

    async def add_tags(self, members: Members) -> Members:
        """Set tags of a stream (AddTagsToStream, TagResource)."""
        tags = {key: value or "" for key, value in members["Tags"].items()}

        def change(stream: Stream) -> Stream:
            require_tags({**stream.tags, **tags}, stream.name, self._account)
            return replace(stream, tags={**stream.tags, **tags})

        await self._streams.change(_resource(members), change)
        return {}

    async def remove_tags(self, members: Members) -> Members:
        """Remove tags of a stream (RemoveTagsFromStream, UntagResource)."""
        keys = set(members["TagKeys"])
        await self._streams.change(
            _resource(members),
            lambda stream: replace(stream, tags={k: v for k, v in stream.tags.items() if k not in keys}),
        )
        return {}

    async def list_tags(self, members: Members) -> Members:
        """List a page of a stream's tags (ListTagsForStream)."""
        stream = await self._streams.get(members)
        after = members.get("ExclusiveStartTagKey", "")
        tags = [tag for tag in _tags(stream) if tag["Key"] > after]
        limit = members.get("Limit", _MAX_TAGS)
        return {"Tags": tags[:limit], "HasMoreTags": len(tags) > limit}

    async def list_resource_tags(self, members: Members) -> Members:
        """List all tags of a stream (ListTagsForResource)."""
        return {"Tags": _tags(await self._streams.get(_resource(members)))}


def _resource(members: Members) -> Members:
    arn = members.get("ResourceARN")
    if arn is None:
        return members
    _, separator, name = arn.partition(":stream/")
    if not separator or "/" in name:
        raise KinesisError("ResourceNotFoundException", f"Resource {arn} not found.")
    return {"StreamName": name}


def _tags(stream: Stream) -> list[Members]:
    return [{"Key": key, "Value": value} for key, value in sorted(stream.tags.items())]


def require_tags(tags: dict[str, str | None], name: str, account: str) -> None:
    """Raise InvalidArgumentException if a stream may not have these tags."""
    if not all(_TAG.fullmatch(text) for pair in tags.items() for text in pair if text):
        raise invalid_argument(
            "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, "
            "_ . / = + - % @."
        )
    if len(tags) > _MAX_TAGS:
        raise invalid_argument(
            f"Failed to add tags to stream {name} under account {account} because a given stream cannot have more "
            f"than {_MAX_TAGS} tags associated with it."
        )
