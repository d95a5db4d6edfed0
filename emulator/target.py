"""Where records go: how a request is worded and what an answer says of each record.

`KafkaRest` speaks Kafka REST v2 (`POST {API_INVOKE_URL}/topics/<topic>`), as behind API Gateway. Status codes and
error codes are those of Confluent's REST proxy (1 and 2: of its old documentation, which Karapace still uses) and of
API Gateway.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from emulator.rows import Record
from pinline.errors import RefusedError
from pinline.events import EventType
from pinline.ledger import Destination

RETRIABLE = frozenset({2, 50003})
"""Per-record error codes after which the same record may well succeed."""
DENIED = frozenset({40101, 40301})
STUBBORN_ATTEMPTS = 5
"""How often a record is sent that Kafka itself rejects (50002, for example too large): that seldom passes."""
_BRIEF = 300
NO_STAGE = "no permission, or no such stage. API_INVOKE_URL ends with the stage (.../dev); is the API deployed to it?"
_CHECKS = {
    200: "that is no answer of a Kafka REST proxy. What listens there?",
    401: NO_STAGE,
    403: NO_STAGE,
    404: "the topic is missing. `make up` makes it. Is USER_ID right?",
    405: "that path takes no such method. API_INVOKE_URL ends with the stage (.../dev).",
    415: "what answers there takes no application/vnd.kafka.json.v2+json. Is it a Kafka REST proxy?",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """A record that was acknowledged."""

    partition: str
    position: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A record that wasn't; it may be sent again."""

    reason: str
    retry_after: float | None = None
    """Seconds that the other side asks for."""
    attempts: int | None = None
    """How often it is sent at most; None: as long as patience lasts."""

    def hopeless_after(self, attempts: int) -> bool:
        """Whether it isn't worth another attempt."""
        return self.attempts is not None and attempts >= self.attempts


Outcome = Accepted | Failed


class TooLargeError(Exception):
    """The request, not one record of it, is too large: send its halves."""


class Target(Protocol):
    """A service that takes records."""

    destination: Destination
    setting: str
    """The setting that names its address, for errors."""
    url: str

    def probe(self) -> Request:
        """Return a request that shows whether the service answers."""

    def request(self, event: EventType, records: Sequence[Record]) -> Request:
        """Return the request that carries `records`, all of one event type."""

    def outcomes(self, request: Request, count: int, answer: Answer) -> list[Outcome]:
        """Return what `answer` says of each of the `count` records, in order. Raises RefusedError or TooLargeError."""


class KafkaRest:
    """Kafka REST v2 behind `{API_INVOKE_URL}`. The record key is the event key; acknowledged: it has an offset."""

    destination: Destination = "kafka"
    setting = "API_INVOKE_URL"

    def __init__(self, url: str, user_id: str) -> None:
        self.url = url
        self._user_id = user_id
        self._headers = {
            "Content-Type": "application/vnd.kafka.json.v2+json",
            "Accept": "application/vnd.kafka.v2+json, application/json",
        }
        self._urls: dict[str, str] = {}

    def probe(self) -> Request:
        """List the topics."""
        return Request("GET", f"{self.url}/topics", {"Accept": self._headers["Accept"]}, b"")

    def request(self, event: EventType, records: Sequence[Record]) -> Request:
        """Return `{"records": [{"key": "<index>", "value": {<row>}}, ...]}` for the event's topic."""
        url = self._urls.get(event.name)
        if url is None:
            url = self._urls[event.name] = f"{self.url}/topics/{event.topic(self._user_id)}"
        body = b",".join(b'{"key":"%b","value":%b}' % (record.key.encode(), record.value) for record in records)
        return Request("POST", url, self._headers, b'{"records":[%b]}' % body)

    def outcomes(self, request: Request, count: int, answer: Answer) -> list[Outcome]:
        """Read an answer; see `Target`."""
        body = parse(answer.body)
        offsets = body.get("offsets") if isinstance(body, dict) else None
        if isinstance(offsets, list) and len(offsets) == count:
            return [self._record_outcome(request, answer, entry) for entry in offsets]
        return by_status(self, request, count, answer, _CHECKS)

    def _record_outcome(self, request: Request, answer: Answer, entry: Mapping[str, Any]) -> Outcome:
        code = entry.get("error_code")
        if code in DENIED:
            raise refused(self, request, answer, _CHECKS.get(answer.status))
        if code is None and answer.status == 200 and entry.get("offset") is not None:
            return Accepted(str(entry.get("partition")), str(entry["offset"]))
        reason = f"{answer.status}, record error {code}: {entry.get('error')}"
        retriable = code in RETRIABLE or answer.status >= 500
        return Failed(reason, _retry_after(answer.headers), None if retriable else STUBBORN_ATTEMPTS)


def by_status(target: Target, request: Request, count: int, answer: Answer, checks: Mapping[int, str]) -> list[Outcome]:
    """Return what the status alone says of each record. Raises TooLargeError, or RefusedError with a check's text."""
    status = answer.status
    if status == 413:
        if count > 1:
            raise TooLargeError
        return [Failed(f"413: {brief(answer)}", attempts=1)]
    if status in (408, 429) or status >= 500:
        return [Failed(f"{status}: {brief(answer)}", _retry_after(answer.headers))] * count
    raise refused(target, request, answer, checks.get(status))


def refused(target: Target, request: Request, answer: Answer, check: str | None) -> RefusedError:
    """Return the error for an answer that the same request would get again; `check` says where to look."""
    check = check or "it would refuse the same request again. What listens there?"
    return RefusedError(
        f"{request.method} {request.url} ({target.setting}) was answered with {answer.status}: {brief(answer)}\n"
        f"Check: {check} Nothing is lost: the next run goes on from here."
    )


def parse(body: bytes) -> Any:
    """Return a body's JSON value; None if it is no JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def brief(answer: Answer) -> str:
    """Return the begin of an answer's text."""
    return answer.body[:_BRIEF].decode(errors="replace").strip() or "(no body)"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After")
    # the other form of the header, a date, is left to our own backoff
    return float(value) if value is not None and value.strip().isdigit() else None
