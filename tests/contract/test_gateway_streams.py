"""API Gateway's Kinesis routes before the real service: templates, answers, errors, as the course's API has them."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import status_code_conformance

from tests.fixtures.backends import free_port
from tests.fixtures.gateway import Gateway, before_kinesis, serving
from tests.fixtures.http import HTTP
from tests.fixtures.kinesis import Kinesis, read_shard, unique_stream

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def useful(stream_gateway: Gateway) -> Gateway:
    """A gateway as shipped."""
    return stream_gateway


@pytest.fixture(scope="module")
def faithful(kinesis: Kinesis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with the tutorial's statuses."""
    values = {**before_kinesis(kinesis.url), "GATEWAY_KINESIS_ERRORS": "faithful"}
    with serving(kinesis.kafka, tmp_path_factory.mktemp("gateway"), **values) as found:
        yield found


@pytest.fixture(scope="module")
def without_kinesis(kinesis: Kinesis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose Kinesis does not listen."""
    values = before_kinesis(f"http://127.0.0.1:{free_port()}")
    with serving(kinesis.kafka, tmp_path_factory.mktemp("gateway"), **values) as found:
        yield found


@pytest.fixture
def stream(kinesis: Kinesis) -> str:
    """A stream of the test's own, of one shard."""
    return unique_stream(1, kinesis.client())


def stored(kinesis: Kinesis, stream: str) -> list[tuple[str, bytes]]:
    """Key and data of all that the stream's first shard holds."""
    records = read_shard(kinesis.client(), stream, "shardId-000000000000")
    return [(record["PartitionKey"], record["Data"]) for record in records]


def test_the_courses_request_is_stored_as_its_json_text(useful: Gateway, kinesis: Kinesis, stream: str) -> None:
    row = {"index": 7528, "unique_id": "fbe53c66", "title": "No Title — ünï", "downloaded": 0, "follower_count": "101k"}
    payload = json.dumps({"StreamName": stream, "Data": row, "PartitionKey": "partition-1"})
    url = f"{useful.stage}/streams/{stream}/record"
    answer = requests.request("PUT", url, headers={"Content-Type": "application/json"}, data=payload, timeout=30)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["ShardId"] == "shardId-000000000000"
    assert answer.json()["SequenceNumber"].isdecimal()
    ((key, data),) = stored(kinesis, stream)
    assert key == "partition-1"
    assert json.loads(data) == row


def test_the_path_wins_over_the_stream_of_the_body(useful: Gateway, kinesis: Kinesis, stream: str) -> None:
    body = {"StreamName": "another", "Data": {"a": 1}, "PartitionKey": "k"}
    assert HTTP.put(f"{useful.stage}/streams/{stream}/record", json=body).status_code == 200
    assert stored(kinesis, stream) == [("k", b'{"a":1}')]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("text", b'"text"'),
        (5, b"5"),
        (None, b"null"),
        ([1, "a"], b'[1,"a"]'),
        ({"n": 2**64}, b'{"n":18446744073709551616}'),
    ],
)
def test_a_record_keeps_its_json(useful: Gateway, kinesis: Kinesis, stream: str, data: Any, text: bytes) -> None:
    body = {"Data": data, "PartitionKey": 5}
    assert HTTP.put(f"{useful.stage}/streams/{stream}/record", json=body).status_code == 200
    assert stored(kinesis, stream) == [("5", text)]


def test_records_are_stored_as_text_without_quotes(useful: Gateway, kinesis: Kinesis, stream: str) -> None:
    entries = [
        {"data": '{"index": 1}', "partition-key": "a"},
        {"data": "plain", "partition-key": "b"},
        {"data": {"a": 1, "b": [True, None]}, "partition-key": 3},
    ]
    answer = HTTP.put(f"{useful.stage}/streams/{stream}/records", json={"records": entries, "StreamName": "another"})
    assert answer.status_code == 200
    assert answer.json()["FailedRecordCount"] == 0
    assert [record["ShardId"] for record in answer.json()["Records"]] == ["shardId-000000000000"] * 3
    assert stored(kinesis, stream) == [("a", b'{"index": 1}'), ("b", b"plain"), ("3", b"{a=1, b=[true, null]}")]


def test_a_stream_is_created_listed_described_and_deleted(useful: Gateway, kinesis: Kinesis) -> None:
    name = f"made-{free_port()}"
    created = HTTP.post(f"{useful.stage}/streams/{name}", json={"ShardCount": 2})
    assert (created.status_code, created.content) == (200, b"")
    kinesis.client().get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    assert name in _all_streams(kinesis)
    assert name in HTTP.get(f"{useful.stage}/streams").json()["StreamNames"] or len(_all_streams(kinesis)) > 100
    described = HTTP.get(f"{useful.stage}/streams/{name}").json()["StreamDescription"]
    assert (described["StreamName"], len(described["Shards"])) == (name, 2)
    deleted = HTTP.delete(f"{useful.stage}/streams/{name}")
    assert (deleted.status_code, deleted.content) == (200, b"")
    kinesis.client().get_waiter("stream_not_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})


def test_a_stream_has_five_shards_unless_told(useful: Gateway, kinesis: Kinesis) -> None:
    name = f"five-{free_port()}"
    assert HTTP.post(f"{useful.stage}/streams/{name}").status_code == 200
    kinesis.client().get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    assert len(HTTP.get(f"{useful.stage}/streams/{name}").json()["StreamDescription"]["Shards"]) == 5


def test_records_are_read_from_a_shards_begin(useful: Gateway, stream: str) -> None:
    url = f"{useful.stage}/streams/{stream}"
    HTTP.put(f"{url}/record", json={"Data": {"a": 1}, "PartitionKey": "k"})
    found = HTTP.get(f"{url}/sharditerator", params={"shard-id": "shardId-000000000000"})
    iterator = found.json()["ShardIterator"]
    read = HTTP.get(f"{url}/records", headers={"Shard-Iterator": iterator}).json()
    assert [base64.b64decode(record["Data"]) for record in read["Records"]] == [b'{"a":1}']
    assert read["NextShardIterator"]


_PUT = {"Data": {"a": 1}, "PartitionKey": "k"}
_REFUSED = [
    ("PUT", "missing-stream/record", _PUT, "ResourceNotFoundException", 200),
    ("GET", "missing-stream", None, "ResourceNotFoundException", 200),
    ("GET", "missing-stream/sharditerator?shard-id=shardId-000000000000", None, "ResourceNotFoundException", 200),
    ("GET", "missing-stream/records", None, "ValidationException", 200),
    ("DELETE", "missing-stream", None, "ResourceNotFoundException", 400),
    ("PUT", "a b/record", _PUT, "ValidationException", 200),
    ("PUT", "s/record", {"PartitionKey": "k"}, "ValidationException", 200),
    ("PUT", "s/record", {"Data": 1}, "ValidationException", 200),
    ("PUT", "s/record", {"Data": 1, "PartitionKey": "k" * 257}, "ValidationException", 200),
    ("PUT", "s/records", {"records": []}, "ValidationException", 200),
    ("PUT", "s/records", {"Records": [{"Data": "x", "PartitionKey": "k"}]}, "ValidationException", 200),
    ("PUT", "s/records", {"records": [{"data": "x", "partition-key": "k"}] * 501}, "ValidationException", 200),
    ("PUT", "s/records", {"records": [{"data": "x", "partition-key": "k"}, {"data": "x"}]}, "ValidationException", 200),
    ("PUT", "s/records", {"records": [{"partition-key": "k"}]}, "ValidationException", 200),
    ("POST", "a b", {"ShardCount": 1}, "ValidationException", 200),
]


@pytest.mark.parametrize(("method", "path", "body", "kind", "status"), _REFUSED)
def test_errors_have_kinesis_own_body_and_the_status_of_the_mode(
    useful: Gateway, faithful: Gateway, method: str, path: str, body: Any, kind: str, status: int
) -> None:
    for gateway, expected in ((useful, 400), (faithful, status)):
        answer = HTTP.request(method, f"{gateway.stage}/streams/{path}", json=body)
        assert (answer.status_code, answer.json()["__type"].rpartition("#")[2]) == (expected, kind)
        assert answer.json()["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"text", b'{"Data": NaN, "PartitionKey": "k"}'])
def test_what_is_not_json_is_refused_as_by_api_gateway(faithful: Gateway, stream: str, body: bytes) -> None:
    answer = HTTP.put(f"{faithful.stage}/streams/{stream}/record", content=body)
    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (400, "BadRequestException")
    assert answer.json()["message"].startswith("Could not parse request body into json: ")


def test_a_body_beyond_10_mb_is_too_long(useful: Gateway, stream: str) -> None:
    body = json.dumps({"Data": "x" * 10_485_760, "PartitionKey": "k"})
    answer = HTTP.put(f"{useful.stage}/streams/{stream}/record", content=body)
    assert (answer.status_code, answer.json()["message"]) == (413, "Request Too Long")


def test_a_record_of_the_largest_size_arrives_and_a_larger_one_is_refused(
    useful: Gateway, kinesis: Kinesis, stream: str
) -> None:
    url = f"{useful.stage}/streams/{stream}/records"
    fits = {"data": "x" * (1_048_576 - 1), "partition-key": "k"}
    assert HTTP.put(url, json={"records": [fits]}, timeout=30).json()["FailedRecordCount"] == 0
    larger = HTTP.put(url, json={"records": [{**fits, "data": "x" * 1_048_577}]}, timeout=30)
    assert (larger.status_code, larger.json()["__type"].rpartition("#")[2]) == (400, "InvalidArgumentException")
    assert [len(data) for _, data in stored(kinesis, stream)] == [1_048_575]


def test_without_kinesis_streams_are_504_and_topics_go_on(without_kinesis: Gateway) -> None:
    answer = HTTP.put(f"{without_kinesis.stage}/streams/s/record", json=_PUT)
    assert (answer.status_code, answer.json()["message"]) == (504, "Network error communicating with endpoint")
    assert HTTP.get(f"{without_kinesis.root}/readyz").status_code == 200
    assert HTTP.get(f"{without_kinesis.stage}/topics").status_code == 200


def test_the_plain_rest_proxy_has_no_streams(useful: Gateway) -> None:
    assert HTTP.get(f"{useful.proxy}/streams").status_code == 404


def test_records_are_counted_by_stream(useful: Gateway, stream: str) -> None:
    HTTP.put(f"{useful.stage}/streams/{stream}/record", json=_PUT)
    entries = [{"data": "x", "partition-key": "k"}] * 3
    HTTP.put(f"{useful.stage}/streams/{stream}/records", json={"records": entries})
    assert (
        f'gateway_stream_records_total{{result="ok",stream="{stream}"}} 4.0' in HTTP.get(f"{useful.root}/metrics").text
    )


def test_puts_of_any_kind_get_an_answer_of_the_document(useful: Gateway, stream: str) -> None:
    document = schemathesis.openapi.from_url(f"{useful.root}/openapi.json").include(tag="streams")
    puts = [found.ok() for found in document.include(method=["PUT", "GET"]).get_all_operations()]

    @settings(max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.one_of([operation.as_strategy() for operation in puts]), st.booleans())
    def conforms(case: schemathesis.Case, known: bool) -> None:
        if known and "stream" in case.path_parameters:
            case.path_parameters["stream"] = stream
        case.call_and_validate(checks=[not_a_server_error, status_code_conformance])

    conforms()


def _all_streams(kinesis: Kinesis) -> list[str]:
    found: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = kinesis.client().list_streams(**more)
        found += page["StreamNames"]
        if not page["HasMoreStreams"]:
            return found
        more = {"ExclusiveStartStreamName": found[-1]}
