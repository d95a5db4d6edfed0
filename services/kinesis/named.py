"""The stream that a request names, found or changed."""

from collections.abc import Callable

from kinesis.catalog import Catalog
from kinesis.errors import stream_not_found
from kinesis.lifecycle import Lifecycle
from kinesis.members import Members, stream_name
from kinesis.streams import Stream


class NamedStreams:
    """Streams by the members of a request, as the catalog holds them when the request comes."""

    def __init__(self, catalog: Catalog, lifecycle: Lifecycle, account: str) -> None:
        self._catalog = catalog
        self._lifecycle = lifecycle
        self._account = account

    async def get(self, members: Members) -> Stream:
        """Return the stream. Raises ResourceNotFoundException."""
        name = stream_name(members)
        await self._catalog.current()
        stream = self._catalog.get(name)
        if stream is None:
            raise stream_not_found(name, self._account)
        return stream

    async def change(self, members: Members, change: Callable[[Stream], Stream]) -> Stream:
        """Replace the stream by `change` of it, and have the lifecycle go on from there."""
        name = stream_name(members)

        def checked(stream: Stream | None) -> Stream:
            if stream is None or stream.status == "DELETED":
                raise stream_not_found(name, self._account)
            return change(stream)

        stream = await self._catalog.update(name, checked)
        if stream.status != "ACTIVE":
            self._lifecycle.advance(name)
        return stream
