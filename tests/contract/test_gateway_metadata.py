"""Metadata, the stage in front, and the operator's routes, over real HTTP with a real Kafka."""

import uuid

import httpx
import pytest

from tests.fixtures.gateway import Gateway
from tests.fixtures.http import HTTP

pytestmark = pytest.mark.contract

V2 = "application/vnd.kafka.v2+json"
PARTITION = {"leader": 1, "replicas": [{"broker": 1, "leader": True, "in_sync": True}]}


@pytest.fixture(params=["stage", "proxy"])
def base(request: pytest.FixtureRequest, gateway: Gateway) -> str:
    url: str = getattr(gateway, request.param)
    return url


def test_topics_are_listed_by_name(gateway: Gateway, base: str) -> None:
    topics = {gateway.make_topic(), gateway.make_topic()}
    answer = HTTP.get(f"{base}/topics")
    assert answer.headers["content-type"] == V2
    assert topics <= set(answer.json())
    assert answer.json() == sorted(answer.json())


def test_a_topic_has_its_configuration_and_partitions(gateway: Gateway, base: str) -> None:
    topic = gateway.make_topic(2)
    found = HTTP.get(f"{base}/topics/{topic}").json()
    assert list(found) == ["name", "configs", "partitions"]
    assert found["name"] == topic
    assert found["configs"]["cleanup.policy"] == "delete"
    assert found["partitions"] == [{"partition": 0, **PARTITION}, {"partition": 1, **PARTITION}]
    assert HTTP.get(f"{base}/topics/{topic}/partitions").json() == found["partitions"]
    assert HTTP.get(f"{base}/topics/{topic}/partitions/1").json() == found["partitions"][1]


def test_offsets_of_a_partition(gateway: Gateway, base: str) -> None:
    topic = gateway.make_topic()
    url = f"{base}/topics/{topic}/partitions/0/offsets"
    assert HTTP.get(url).json() == {"beginning_offset": 0, "end_offset": 0}
    HTTP.post(
        f"{base}/topics/{topic}",
        json={"records": [{"value": 1}, {"value": 2}]},
        headers={"Content-Type": "application/vnd.kafka.json.v2+json"},
    )
    assert HTTP.get(url).json() == {"beginning_offset": 0, "end_offset": 2}


def test_brokers_and_root(gateway: Gateway, base: str) -> None:
    assert HTTP.get(f"{base}/brokers").json() == {"brokers": [1]}
    assert HTTP.get(f"{gateway.proxy}/").content == b"{}"
    assert HTTP.post(f"{gateway.proxy}/").content == b"{}"


@pytest.mark.parametrize("path", ["", "/partitions", "/partitions/0", "/partitions/0/offsets"])
def test_a_missing_topic_is_40403(base: str, path: str) -> None:
    answer = HTTP.get(f"{base}/topics/missing{path}")
    assert answer.status_code == 404
    assert answer.json() == {"error_code": 40403, "message": "This server does not host this topic-partition."}


@pytest.mark.parametrize("path", ["/partitions/7", "/partitions/7/offsets"])
def test_a_missing_partition_is_40402(gateway: Gateway, base: str, path: str) -> None:
    answer = HTTP.get(f"{base}/topics/{gateway.make_topic()}{path}")
    assert (answer.status_code, answer.json()) == (404, {"error_code": 40402, "message": "Partition not found."})


def test_an_invalid_name_an_unknown_path_method_and_accept(base: str) -> None:
    assert HTTP.get(f"{base}/topics/a%20b").json()["error_code"] == 40002
    assert HTTP.get(f"{base}/nowhere").json() == {"error_code": 404, "message": "HTTP 404 Not Found"}
    assert HTTP.delete(f"{base}/topics/x").json() == {"error_code": 405, "message": "HTTP 405 Method Not Allowed"}
    refused = HTTP.get(f"{base}/topics", headers={"Accept": "text/html"})
    assert (refused.status_code, refused.json()) == (406, {"error_code": 406, "message": "HTTP 406 Not Acceptable"})


def test_a_flood_of_wrong_names_costs_few_metadata_requests(gateway: Gateway) -> None:
    headers = {"Content-Type": "application/vnd.kafka.json.v2+json"}
    with httpx.Client(headers=headers) as client:
        answers = [client.post(f"{gateway.stage}/topics/wrong{n}", json={"records": [{}]}) for n in range(20)]
    assert {answer.json()["error_code"] for answer in answers} == {40401}
    # one each 0.1 s at the most
    assert sum((answer.elapsed.total_seconds() for answer in answers), 0.0) > 1.5


@pytest.mark.parametrize("path", ["", "/", "/prod/topics", "/topics", "/dev", "/dev/", "/development/topics", "/ping"])
def test_another_stage_or_resource_is_a_missing_authentication_token(gateway: Gateway, path: str) -> None:
    answer = HTTP.post(gateway.root + path, content=b"{}")
    assert answer.status_code == 403
    assert answer.content == b'{"message":"Missing Authentication Token"}'
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"
    assert uuid.UUID(answer.headers["x-amzn-RequestId"])


def test_the_stage_marks_its_answers_and_the_plain_proxy_does_not(gateway: Gateway) -> None:
    ids = {HTTP.get(f"{gateway.stage}/topics").headers["x-amzn-RequestId"] for _ in range(3)}
    assert len(ids) == 3
    assert "x-amzn-RequestId" not in HTTP.get(f"{gateway.proxy}/topics").headers


def test_the_operators_routes_are_on_both_ports_outside_the_stage(gateway: Gateway) -> None:
    for root in (gateway.root, gateway.proxy):
        assert HTTP.get(f"{root}/healthz").json() == {"status": "ok"}
        assert HTTP.get(f"{root}/readyz").json() == {"status": "ready", "brokers": [1]}
        assert HTTP.get(f"{root}/docs").status_code == 200
        assert HTTP.get(f"{root}/openapi.json").json()["openapi"].startswith("3.")
    assert HTTP.get(f"{gateway.stage}/metrics").json()["error_code"] == 404


def test_metrics_count_requests_by_route_and_records_by_topic(gateway: Gateway) -> None:
    topic = gateway.make_topic()
    HTTP.post(
        f"{gateway.stage}/topics/{topic}",
        json={"records": [{"value": 1}, {"value": 2}, {"value": 3, "partition": 5}]},
        headers={"Content-Type": "application/vnd.kafka.json.v2+json"},
    )
    text = HTTP.get(f"{gateway.proxy}/metrics").text
    assert f'gateway_records_total{{result="ok",topic="{topic}"}} 2.0' in text
    assert f'gateway_records_total{{result="50002",topic="{topic}"}} 1.0' in text
    assert 'gateway_requests_total{route="/topics/{topic}",status="200"}' in text
    for name in ("gateway_request_seconds_bucket", "gateway_requests_in_flight 1.0", "gateway_queue_records 0.0"):
        assert name in text
