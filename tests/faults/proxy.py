"""An HTTP proxy that makes faults: between the sink and S3, or the emulator and the gateway.

It passes requests on one by one, unchanged. A rule names requests and a fault; the first rule that fits is used.
Faults are what a network or a service in trouble does, at a moment that the test chooses:

    with FaultProxy(url) as proxy:
        held = Hold()
        proxy.rule(put_of("topics/"), held, times=1)   # stored, but the answer waits
        ...
        held.reached.wait(30)                          # now kill whom you want
        held.release.set()
"""

import http.client
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.fixtures.http import HTTP

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "proxy-connection", "expect"})
_HELD_S = 120.0


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {unquote(self.path)}"


@dataclass(frozen=True)
class Answer:
    """An answer as it goes."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Exchange:
    """One request under way, as a fault sees it."""

    def __init__(self, proxy: "FaultProxy", connection: "_Connection", request: Request) -> None:
        self.request = request
        self._proxy = proxy
        self._connection = connection

    def forward(self, *, without: str = "", body: bytes | None = None) -> Answer:
        """Pass the request on, without the header `without` or with another body; return the answer, unsent."""
        request = self.request if body is None else replace(self.request, body=body)
        answer = self._connection.upstream(request, without)
        self._proxy.answers.append((self.request, answer.status))
        return answer

    def reply(self, answer: Answer) -> None:
        """Answer the client."""
        self._connection.reply(self.request, answer)

    def reply_half(self, answer: Answer) -> None:
        """Answer with half of the body, and break the connection."""
        self._connection.reply(self.request, answer, share=0.5)
        self.cut()

    def cut(self) -> None:
        """Break the connection."""
        self._connection.cut()


Fault = Callable[[Exchange], None]
Fits = Callable[[Request], bool]


@dataclass
class Rule:
    """A fault for the next `times` requests that fit (None: for all). `hits` counts them."""

    fits: Fits
    fault: Fault
    times: int | None = None
    hits: int = 0
    active: bool = True

    def end(self) -> None:
        """Make no more faults."""
        self.active = False


@dataclass
class Hold:
    """Passes the request on, and keeps the answer back until `release` is set."""

    before: bool = False
    """Keep the request back instead."""
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    status: int = 0
    """Of the answer, once there is one."""

    def __call__(self, exchange: Exchange) -> None:
        answer = None if self.before else exchange.forward()
        self.reached.set()
        self.release.wait(_HELD_S)
        answer = answer or exchange.forward()
        self.status = answer.status
        exchange.reply(answer)


def cut(exchange: Exchange) -> None:
    """Break the connection before anything happens."""
    exchange.cut()


def swallow_answer(exchange: Exchange) -> None:
    """Pass the request on, and break the connection instead of answering."""
    exchange.forward()
    exchange.cut()


def cut_within_answer(exchange: Exchange) -> None:
    """Pass the request on, and break the connection in the middle of the answer."""
    exchange.reply_half(exchange.forward())


def replies(status: int, body: bytes = b"", **headers: str) -> Fault:
    """Return a fault that answers in the service's place."""

    def reply(exchange: Exchange) -> None:
        exchange.reply(Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body))

    return reply


def passes_to(url: str) -> Fault:
    """Return a fault that has another service answer, at `url`; the request's `Host` stays, which is signed."""

    def ask(exchange: Exchange) -> None:
        request = exchange.request
        found = HTTP.request(
            request.method, url + request.path, headers=_kept(request.headers), content=request.body, timeout=60
        )
        exchange.reply(Answer(found.status_code, _kept(found.headers), found.content))

    return ask


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP}


def without_header(name: str) -> Fault:
    """Return a fault that takes a header away, as if the service did not know it."""

    def strip(exchange: Exchange) -> None:
        exchange.reply(exchange.forward(without=name))

    return strip


def put_of(part: str) -> Fits:
    """Return a condition: a PUT whose path contains `part`."""
    return lambda request: request.method == "PUT" and part in str(request)


def post_of(part: str) -> Fits:
    """Return a condition: a POST whose path contains `part`."""
    return lambda request: request.method == "POST" and part in str(request)


def any_request(_request: Request) -> bool:
    """Fit every request."""
    return True


class FaultProxy:
    """A proxy in front of `upstream` (`http://host:port`) on a port of its own; `url` is its address."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.answers: list[tuple[Request, int]] = []
        """What was passed on, with the status of its answer."""
        self.unreachable = 0
        """How often nothing answered behind the proxy."""
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for rule in self._rules:
            rule.end()
            if isinstance(rule.fault, Hold):
                rule.fault.release.set()
        self._server.shutdown()
        self._server.server_close()

    def rule(self, fits: Fits, fault: Fault, times: int | None = None) -> Rule:
        """Add a rule; the rules added first are looked at first."""
        rule = Rule(fits, fault, times)
        self._rules.append(rule)
        return rule

    def exchange(self, exchange: Exchange) -> None:
        """Do one exchange by the rules."""
        with self._lock:
            rule = next((r for r in self._rules if r.active and r.fits(exchange.request)), None)
            if rule:
                rule.hits += 1
                rule.active = rule.times is None or rule.hits < rule.times
        if rule:
            rule.fault(exchange)
        else:
            exchange.reply(exchange.forward())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    proxy: FaultProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A broken connection is what this proxy is for."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    _to: http.client.HTTPConnection | None = None

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._exchange
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """No log."""

    def _exchange(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, dict(self.headers.items()), body)
        exchange = Exchange(self.server.proxy, self, request)
        try:
            self.server.proxy.exchange(exchange)
        except OSError:
            self.cut()

    def upstream(self, request: Request, without: str) -> Answer:
        """Pass a request on over a connection that lives as long as the client's."""
        left_out = _HOP | {without.lower(), "content-length"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in left_out}
        if request.body or request.method in ("PUT", "POST"):
            headers["Content-Length"] = str(len(request.body))
        try:
            return self._ask(request, headers)
        except (http.client.HTTPException, OSError) as error:
            self._to = None
            self.server.proxy.unreachable += 1
            raise ConnectionError(str(error)) from error

    def _ask(self, request: Request, headers: dict[str, str]) -> Answer:
        if self._to is None:
            self._to = http.client.HTTPConnection(*self.server.proxy.upstream, timeout=60)
            self._to.connect()
            self._to.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._to.request(request.method, request.path, request.body or None, headers)
        found = self._to.getresponse()
        return Answer(found.status, _kept(dict(found.getheaders())), found.read())

    def reply(self, request: Request, answer: Answer, share: float = 1) -> None:
        """Write an answer, or a share of its body."""
        named = {name.lower() for name in answer.headers}
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() != "content-length" or request.method == "HEAD":
                self.send_header(name, value)
        if request.method != "HEAD" or "content-length" not in named:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if request.method != "HEAD":
            self.wfile.write(answer.body[: int(len(answer.body) * share)])
        self.wfile.flush()

    def cut(self) -> None:
        """Break the connection."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
