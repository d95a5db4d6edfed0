"""HTTP/2 without TLS, for the SDKs that speak nothing else to Kinesis (JavaScript's, Java's asynchronous one).

uvicorn's HTTP/1.1 protocol is kept; a connection that begins with HTTP/2's preface is handed to `Http2`, which runs
the same application. h2 (the library) does the framing.
"""

import asyncio
import contextlib
from collections.abc import MutableMapping
from typing import Any, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_PREFACE = b"PRI * HTTP/2"
_WINDOW = 1_048_576
_STREAMS = 128


class Either(HttpToolsProtocol):
    """A connection of which the first bytes tell the version of HTTP."""

    _asked = False

    def data_received(self, data: bytes) -> None:
        """Take bytes; the first ones decide."""
        if not self._asked:
            self._asked = True
            if data.startswith(_PREFACE):
                self._unset_keepalive_if_required()
                self.connections.discard(self)
                protocol = Http2(self.app, self.connections, self.tasks, self.loop)
                self.transport.set_protocol(protocol)
                protocol.connection_made(self.transport)
                protocol.data_received(data)
                return
        super().data_received(data)


class _Request:
    """One request: its body as it comes, and what is left of its answer."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self.room = asyncio.Event()
        self.gone = False


class Http2(asyncio.Protocol):
    """A connection of HTTP/2."""

    def __init__(self, app: Any, connections: set[Any], tasks: set[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._connections = connections
        self._tasks = tasks
        self._loop = loop
        self._requests: dict[int, _Request] = {}
        self._writable = asyncio.Event()
        self._writable.set()
        self._closing = False
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the connection."""
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        self._h2.local_settings[SettingCodes.INITIAL_WINDOW_SIZE] = _WINDOW
        self._h2.local_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = _STREAMS
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(15 * _WINDOW)
        self._flush()

    def connection_lost(self, _exc: Exception | None) -> None:
        """End the connection."""
        self._connections.discard(self)
        for request in self._requests.values():
            self._end(request)
        self._writable.set()

    def pause_writing(self) -> None:
        """Stop sending: the client is slow."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on sending."""
        self._writable.set()

    def shutdown(self) -> None:
        """Answer what is under way and close (uvicorn's graceful shutdown)."""
        self._closing = True
        with contextlib.suppress(ProtocolError):
            self._h2.close_connection(ErrorCodes.NO_ERROR)
        self._flush()
        if not self._requests:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        try:
            events = self._h2.receive_data(data)
        except ProtocolError:
            self._flush()
            self._transport.close()
            return
        for event in events:
            if isinstance(event, RequestReceived):
                self._begin(event)
            elif isinstance(event, DataReceived):
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self._give(event.stream_id, {"type": "http.request", "body": event.data, "more_body": True})
            elif isinstance(event, StreamEnded):
                self._give(event.stream_id, {"type": "http.request", "body": b"", "more_body": False})
            elif isinstance(event, StreamReset):
                if request := self._requests.get(event.stream_id):
                    self._end(request)
            elif isinstance(event, WindowUpdated):
                for number, request in self._requests.items():
                    if event.stream_id in (0, number):
                        request.room.set()
        self._flush()

    def _begin(self, event: RequestReceived) -> None:
        special = {name: value for name, value in event.headers if name.startswith(b":")}
        path, _, query = special.get(b":path", b"/").partition(b"?")
        headers = [(name, value) for name, value in event.headers if not name.startswith(b":")]
        if not any(name == b"host" for name, _ in headers):
            headers.append((b"host", special.get(b":authority", b"")))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "2",
            "method": special.get(b":method", b"").decode("latin-1"),
            "scheme": "http",
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "client": self._transport.get_extra_info("peername"),
            "server": self._transport.get_extra_info("sockname"),
        }
        request = self._requests[event.stream_id] = _Request()
        task = self._loop.create_task(self._run(scope, event.stream_id, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, scope: dict[str, Any], number: int, request: _Request) -> None:
        async def receive() -> MutableMapping[str, Any]:
            return await request.messages.get()

        async def send(message: MutableMapping[str, Any]) -> None:
            if request.gone:
                return
            if message["type"] == "http.response.start":
                status = [(b":status", str(message["status"]).encode())]
                self._h2.send_headers(number, status + list(message["headers"]))
                self._flush()
            else:
                await self._send_body(number, request, message.get("body", b""))

        try:
            with contextlib.suppress(ProtocolError):
                await self._app(scope, receive, send)
        finally:
            self._requests.pop(number, None)
            if self._closing and not self._requests:
                self._transport.close()

    async def _send_body(self, number: int, request: _Request, body: bytes) -> None:
        view = memoryview(body)
        while view and not request.gone:
            await self._writable.wait()
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size, len(view))
            if room <= 0:
                request.room.clear()
                await request.room.wait()
                continue
            self._h2.send_data(number, bytes(view[:room]))
            view = view[room:]
            self._flush()
        if not request.gone:
            self._h2.end_stream(number)
            self._flush()

    def _give(self, number: int, message: MutableMapping[str, Any]) -> None:
        if request := self._requests.get(number):
            request.messages.put_nowait(message)

    def _end(self, request: _Request) -> None:
        request.gone = True
        request.room.set()
        request.messages.put_nowait({"type": "http.disconnect"})

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)
