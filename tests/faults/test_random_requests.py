"""100,000 random requests over real connections: no 5xx, no crash, memory flat.

Every twentieth is made by Schemathesis from the OpenAPI document; the others are bodies and paths made by Hypothesis,
put together at random, every second one with some of its bytes changed. All of it follows from one seed.
"""

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple, TypeVar
from urllib.parse import quote

import psutil
import pytest
import schemathesis
import yarl
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fixtures.gateway import Gateway, StartGateway
from tests.fixtures.http import HTTP

pytestmark = [pytest.mark.faults, pytest.mark.contract]

T = TypeVar("T")

COUNT = 100_000
CONNECTIONS = 16
SEED = 20_260_701
MARGIN_BYTES = 16 * 2**20
"""How much more memory than half-way the end may need; a leak of 350 bytes a request would be seen."""
MADE_FROM_DOCUMENT = 1_000
MADE_BY_HYPOTHESIS = 4_000

JSON_TYPE = "application/vnd.kafka.json.v2+json"
TYPES = [JSON_TYPE] * 6 + ["application/vnd.kafka.binary.v2+json", "application/json", "text/plain", "", "a/b;=c"]
METHODS = ["POST"] * 12 + ["GET", "GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]

_SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_JSON = st.recursive(
    _SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
_RECORD = st.fixed_dictionaries({}, optional={"key": _JSON, "value": _JSON, "partition": st.integers(-2, 4) | _JSON})
_PRODUCE = st.fixed_dictionaries({"records": st.lists(_RECORD, max_size=4)}, optional={"value_schema": _JSON})
_BODY = st.one_of(
    st.binary(max_size=200),
    _PRODUCE.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    _PRODUCE.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    _JSON.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    st.integers(1, 4000).map(lambda depth: b'{"records":[{"value":' + b"[" * depth + b"]" * depth + b"}]}"),
)
_PATH = st.lists(
    st.sampled_from(["topics", "partitions", "offsets", "0", "brokers", ".."]) | st.text(max_size=8), max_size=5
)


class Sent(NamedTuple):
    """One request."""

    method: str
    url: yarl.URL
    headers: dict[str, str]
    body: bytes | None

    def to_bytes(self) -> bytes:
        """Return it as it goes over the connection."""
        headers = {"Host": f"{self.url.host}:{self.url.port}", **self.headers}
        if self.body is not None or self.method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(len(self.body or b""))
        lines = [f"{self.method} {self.url.raw_path_qs} HTTP/1.1", *(f"{key}: {text}" for key, text in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + (self.body or b"")


class Connection:
    """One to a listener, made anew when the gateway has closed it. A whole HTTP client costs more than its answers."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, sent: Sent) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        for _ in range(2):
            reader, writer = self._open or await asyncio.open_connection(*self._address, limit=2**20)
            fresh, self._open = self._open is None, (reader, writer)
            writer.write(sent.to_bytes())
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                self.close()
                assert not fresh, f"no answer to {sent}"
                continue
            status, fields = int(head[9:12]), head.lower()
            length, closes = re.search(rb"\r\ncontent-length: (\d+)", fields), b"\r\nconnection: close" in fields
            assert length or closes or status in (204, 304), f"an answer without an end to {sent}: {head!r}"
            body = b""
            if length and sent.method != "HEAD":
                body = await reader.readexactly(int(length[1]))
            elif closes:
                body = await reader.read()
            if closes:
                self.close()
            return status, body
        raise AssertionError(f"no answer to {sent}")

    def close(self) -> None:
        """Give it up."""
        if self._open:
            self._open[1].close()
        self._open = None


def test_100_000_random_requests_get_no_5xx_and_leave_the_gateway_as_it_was(
    start_gateway: StartGateway, kafka_broker: str
) -> None:
    with start_gateway(kafka_broker) as gateway:
        topic = gateway.make_topic(2)
        half, end = asyncio.run(_send(gateway, _requests(gateway, topic)))
        assert HTTP.get(f"{gateway.proxy}/readyz", timeout=20).status_code == 200
        assert gateway.process.poll() is None
        assert "request_failed" not in gateway.log.read_text()
    print(f"resident memory: {half / 2**20:.1f} MiB half-way, {end / 2**20:.1f} MiB at the end")
    assert end <= half + MARGIN_BYTES


async def _send(gateway: Gateway, requests: Iterator[Sent]) -> tuple[int, int]:
    """Send all; return the gateway's memory half-way and at the end."""
    process = psutil.Process(gateway.process.pid)
    statuses: Counter[int] = Counter()
    memory: list[int] = []

    async def send_on() -> None:
        connections: dict[int, Connection] = {}
        for sent in requests:
            host, port = str(sent.url.host), sent.url.port or 80
            status, text = await connections.setdefault(port, Connection(host, port)).ask(sent)
            assert status < 500, f"{sent}\n{status} {text[:500]!r}"
            statuses[status] += 1
            if statuses.total() in (COUNT // 2, COUNT):
                memory.append(process.memory_info().rss)
        for connection in connections.values():
            connection.close()

    await asyncio.gather(*(send_on() for _ in range(CONNECTIONS)))
    assert statuses.total() == COUNT
    assert statuses[200] > COUNT // 20, f"too few were good: {statuses}"
    print(f"answers: {dict(sorted(statuses.items()))}")
    return memory[0], memory[1]


def _requests(gateway: Gateway, topic: str) -> Iterator[Sent]:
    chance = random.Random(SEED)
    bases = [gateway.stage, gateway.proxy]
    document = _from_document(gateway, topic)
    bodies, paths = _drawn(_BODY, MADE_BY_HYPOTHESIS), [_escaped(path) for path in _drawn(_PATH, 250)]
    good = [f"topics/{topic}", f"topics/{topic}", f"topics/{topic}/partitions/0", f"topics/{topic}/partitions/99"]
    for number in range(COUNT):
        if number % 20 == 0:
            yield chance.choice(document)
            continue
        # what is not found costs the wait for the next metadata, ten a second, so most paths name the topic
        path = chance.choice(good) if number % 400 else chance.choice(paths)
        body = chance.choice(bodies)
        method = chance.choice(METHODS) if number % 400 else "POST"
        if number % 2:
            body = _changed(body, chance)
        headers = {"Content-Type": chance.choice(TYPES)}
        yield Sent(method, yarl.URL(f"{chance.choice(bases)}/{path}", encoded=True), headers, body)


def _escaped(path: list[str]) -> str:
    return quote("/".join(path).encode("utf-8", "surrogatepass"), safe="/")


def _changed(body: bytes, chance: random.Random) -> bytes:
    """Change, drop or add some bytes."""
    changed = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(changed))
        changed[at : at + chance.randint(0, 3)] = chance.choice([b"", b"{", b'"', b",", b"\x00", chance.randbytes(2)])
    return bytes(changed)


def _drawn(strategy: st.SearchStrategy[T], count: int) -> list[T]:
    """Draw examples."""
    found: list[T] = []

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def take(example: T) -> None:
        found.append(example)

    take()
    return found


def _from_document(gateway: Gateway, topic: str) -> list[Sent]:
    """Requests that the OpenAPI documents of both listeners describe, their topic mostly one that is there."""
    found: list[Sent] = []
    for base in (gateway.root, gateway.proxy):
        document = schemathesis.openapi.from_url(f"{base}/openapi.json").exclude(tag="streams")
        operations = st.one_of([each.ok().as_strategy() for each in document.get_all_operations()])
        for number, case in enumerate(_drawn(operations, MADE_FROM_DOCUMENT // 2)):
            if case.path_parameters.get("topic") and number % 10:
                case.path_parameters["topic"] = topic
            made = case.as_transport_kwargs()
            body = made.get("data", made.get("json"))
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode("utf-8", "surrogatepass")
            headers = {str(name): str(value) for name, value in made.get("headers", {}).items()}
            found.append(Sent(made["method"], yarl.URL(made["url"], encoded=True), headers, body))
    return found
