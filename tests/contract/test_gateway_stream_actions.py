"""What each route for streams becomes at Kinesis, by the tutorial's templates, and what of Kinesis's errors comes back.

In Kinesis's place stands who notes the requests and answers what the test says: it could not be made to fail at will.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.faults.proxy import Answer, Exchange, FaultProxy, Request, any_request
from tests.fixtures.backends import free_port
from tests.fixtures.gateway import Gateway, before_kinesis, serving
from tests.fixtures.http import HTTP

pytestmark = pytest.mark.contract

AMZ_JSON = "application/x-amz-json-1.1"


@dataclass
class Asked:
    """Kinesis's stand-in: `answer` is its answer, `requests` is what it was asked."""

    answer: tuple[int, dict[str, Any]] = (200, {})
    requests: list[Request] = field(default_factory=list)

    def __call__(self, exchange: Exchange) -> None:
        self.requests.append(exchange.request)
        status, body = self.answer
        exchange.reply(Answer(status, {"Content-Type": AMZ_JSON}, json.dumps(body).encode()))


@pytest.fixture(scope="module")
def asked() -> Asked:
    return Asked()


@pytest.fixture(scope="module")
def gateways(asked: Asked, kafka_broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Gateway]]:
    """A gateway a mode."""
    with FaultProxy(f"http://127.0.0.1:{free_port()}") as proxy:
        proxy.rule(any_request, asked)
        values = before_kinesis(proxy.url)
        folders = [tmp_path_factory.mktemp(mode) for mode in ("useful", "faithful")]
        with (
            serving(kafka_broker, folders[0], **values) as useful,
            serving(kafka_broker, folders[1], **values, GATEWAY_KINESIS_ERRORS="faithful") as faithful,
        ):
            yield {"useful": useful, "faithful": faithful}


@dataclass(frozen=True)
class Route:
    """A request, and what the template makes of it."""

    method: str
    path: str
    action: str
    template: dict[str, Any]
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ROUTES = [
    Route("GET", "streams", "ListStreams", {}),
    Route("GET", "streams/s", "DescribeStream", {"StreamName": "s"}),
    Route("POST", "streams/s", "CreateStream", {"StreamName": "s", "ShardCount": 5}),
    Route("POST", "streams/s", "CreateStream", {"StreamName": "s", "ShardCount": 2}, {"ShardCount": 2}),
    Route("DELETE", "streams/s", "DeleteStream", {"StreamName": "s"}),
    Route(
        "PUT",
        "streams/s/record",
        "PutRecord",
        {"StreamName": "s", "Data": encoded('{"a":1}'), "PartitionKey": "k"},
        {"StreamName": "another", "Data": {"a": 1}, "PartitionKey": "k"},
    ),
    Route(
        "PUT",
        "streams/s/records",
        "PutRecords",
        {"StreamName": "s", "Records": [{"Data": encoded("text"), "PartitionKey": "k"}]},
        {"records": [{"data": "text", "partition-key": "k"}]},
    ),
    Route(
        "GET",
        "streams/s/sharditerator?shard-id=shardId-000000000001",
        "GetShardIterator",
        {"StreamName": "s", "ShardId": "shardId-000000000001", "ShardIteratorType": "TRIM_HORIZON"},
    ),
    Route("GET", "streams/s/records", "GetRecords", {"ShardIterator": "AAA="}, headers={"Shard-Iterator": "AAA="}),
]
IDS = [f"{route.method} {route.path}" for route in ROUTES]


def ask(gateway: Gateway, route: Route) -> httpx.Response:
    return HTTP.request(
        route.method, f"{gateway.stage}/{route.path}", json=route.body, headers=route.headers, timeout=30
    )


@pytest.mark.parametrize("mode", ["useful", "faithful"])
@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_each_route_is_the_action_of_its_template(
    gateways: dict[str, Gateway], asked: Asked, route: Route, mode: str
) -> None:
    asked.requests.clear()
    asked.answer = (200, {"Any": "answer"})
    answer = ask(gateways[mode], route)
    (request,) = asked.requests
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert (request.method, request.path, headers["x-amz-target"]) == ("POST", "/", f"Kinesis_20131202.{route.action}")
    assert headers["content-type"] == AMZ_JSON
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=test/")
    assert json.loads(request.body) == route.template
    says_nothing = route.method in ("POST", "DELETE")
    assert (answer.status_code, answer.content) == (200, b"" if says_nothing else b'{"Any": "answer"}')


ERRORS = {
    400: "ProvisionedThroughputExceededException",
    403: "AccessDeniedException",
    500: "InternalFailure",
    503: "ServiceUnavailable",
}


@pytest.mark.parametrize("status", ERRORS)
@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_errors_of_kinesis_come_back_with_its_body_and_the_status_of_the_mode(
    gateways: dict[str, Gateway], asked: Asked, route: Route, status: int
) -> None:
    body = {"__type": ERRORS[status], "message": "for a reason"}
    asked.answer = (status, body)
    mapped = (500 if status >= 500 else 400) if route.method == "DELETE" else 200
    for mode, expected in (("useful", status), ("faithful", mapped)):
        answer = ask(gateways[mode], route)
        assert (answer.status_code, answer.json()) == (expected, body)


def test_records_that_failed_among_others_come_back_as_kinesis_says(gateways: dict[str, Gateway], asked: Asked) -> None:
    stored = {"SequenceNumber": "4", "ShardId": "shardId-000000000000"}
    failed = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}
    asked.answer = (200, {"FailedRecordCount": 1, "Records": [stored, failed]})
    entries = [{"data": "a", "partition-key": "k"}, {"data": "b", "partition-key": "k"}]
    for gateway in gateways.values():
        answer = HTTP.put(f"{gateway.stage}/streams/s/records", json={"records": entries})
        assert (answer.status_code, answer.json()) == asked.answer
        counted = HTTP.get(f"{gateway.root}/metrics").text
        assert 'gateway_stream_records_total{result="failed",stream="s"} 1.0' in counted
