"""Producing through the gateway, over real HTTP into a real Kafka."""

import base64
import concurrent.futures
import json
from typing import Any

import httpx
import pytest

from tests.fixtures.gateway import Gateway
from tests.fixtures.http import HTTP

pytestmark = pytest.mark.contract

JSON = "application/vnd.kafka.json.v2+json"
BINARY = "application/vnd.kafka.binary.v2+json"
V2 = "application/vnd.kafka.v2+json"
LIMIT = 10 * 1024 * 1024


def post(url: str, body: Any, content_type: str | None = JSON, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    if content_type is not None:
        headers["Content-Type"] = content_type
    return HTTP.post(url, content=content, headers=headers, timeout=60)


@pytest.fixture(params=["stage", "proxy"])
def base(request: pytest.FixtureRequest, gateway: Gateway) -> str:
    url: str = getattr(gateway, request.param)
    return url


def written(offset: int, partition: int = 0) -> dict[str, Any]:
    return {"partition": partition, "offset": offset, "error_code": None, "error": None}


def test_success_answer_is_confluents_with_nulls_and_in_request_order(gateway: Gateway, base: str) -> None:
    topic = gateway.make_topic()
    answer = post(f"{base}/topics/{topic}", {"records": [{"value": {"index": n}} for n in range(5)]})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == V2
    offsets = b",".join(b'{"partition":0,"offset":%d,"error_code":null,"error":null}' % n for n in range(5))
    assert answer.content == b'{"offsets":[' + offsets + b'],"key_schema_id":null,"value_schema_id":null}'
    assert gateway.read(topic) == [(None, b'{"index":%d}' % n) for n in range(5)]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("0", b"0"),
        ("false", b"false"),
        ('""', b'""'),
        ("{}", b"{}"),
        ("[]", b"[]"),
        ("null", None),
        ('{"b": 1, "a": [1.5, null, "\\u00e9"]}', '{"b":1,"a":[1.5,null,"é"]}'.encode()),
        ("123456789012345678901234567890", b"123456789012345678901234567890"),
        ('{"n": -9223372036854775809, "d": 51.25}', b'{"n":-9223372036854775809,"d":51.25}'),
        ("18446744073709551616", b"18446744073709551616"),
        ('"12345678901234567890 \\ud83d\\ude00"', '"12345678901234567890 😀"'.encode()),
        ('{"a": 1, "a": 2}', b'{"a":2}'),
    ],
)
def test_json_values_are_stored_as_they_are_and_null_is_a_tombstone(
    gateway: Gateway, sent: str, stored: bytes | None
) -> None:
    topic = gateway.make_topic()
    answer = post(f"{gateway.stage}/topics/{topic}", f'{{"records":[{{"value":{sent}}}]}}'.encode())
    assert answer.status_code == 200
    assert gateway.read(topic) == [(None, stored)]


def test_keys_are_json_text_and_absent_keys_and_values_are_null(gateway: Gateway) -> None:
    topic = gateway.make_topic()
    records = [{"key": "k", "value": 1}, {"key": 7, "value": 1}, {"key": {"a": 1}}, {"key": None, "value": None}, {}]
    answer = post(f"{gateway.proxy}/topics/{topic}", {"records": records})
    assert answer.status_code == 200
    assert gateway.read(topic) == [(b'"k"', b"1"), (b"7", b"1"), (b'{"a":1}', None), (None, None), (None, None)]


def test_binary_records_are_stored_byte_for_byte(gateway: Gateway) -> None:
    topic = gateway.make_topic()
    every_byte = bytes(range(256))
    records = [
        {"key": base64.b64encode(b"k").decode(), "value": base64.b64encode(every_byte).decode()},
        {"value": ""},
        {"value": "aGk"},
        {"value": None},
    ]
    assert post(f"{gateway.stage}/topics/{topic}", {"records": records}, BINARY).status_code == 200
    assert gateway.read(topic) == [(b"k", every_byte), (None, b""), (None, b"hi"), (None, None)]


@pytest.mark.parametrize("value", ["***", "a", 1, {}, "aGk=\n", "é"])
def test_what_is_not_base64_is_refused_and_nothing_is_stored(gateway: Gateway, value: Any) -> None:
    topic = gateway.make_topic()
    answer = post(f"{gateway.proxy}/topics/{topic}", {"records": [{"value": "aGk="}, {"value": value}]}, BINARY)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == 400
    assert "is not a valid base64 string" in answer.json()["message"]
    assert gateway.read(topic) == []


def test_records_go_to_the_partition_that_they_or_the_path_name(gateway: Gateway, base: str) -> None:
    topic = gateway.make_topic(3)
    records = [{"value": n, "partition": n} for n in (2, 0, 1)]
    answer = post(f"{base}/topics/{topic}", {"records": records})
    assert [entry["partition"] for entry in answer.json()["offsets"]] == [2, 0, 1]
    answer = post(f"{base}/topics/{topic}/partitions/1", {"records": [{"value": "path"}]})
    assert answer.json()["offsets"] == [written(1, 1)]
    assert gateway.read(topic, 1) == [(None, b"1"), (None, b'"path"')]


def test_records_of_one_key_go_to_one_partition_in_order(gateway: Gateway) -> None:
    topic = gateway.make_topic(3)
    records = [{"key": "same", "value": n} for n in range(1000)]
    answer = post(f"{gateway.stage}/topics/{topic}", {"records": records})
    offsets = answer.json()["offsets"]
    (partition,) = {entry["partition"] for entry in offsets}
    assert [entry["offset"] for entry in offsets] == list(range(1000))
    assert [value for _, value in gateway.read(topic, partition)] == [b"%d" % n for n in range(1000)]


def test_a_record_with_a_bad_partition_fails_alone(gateway: Gateway, base: str) -> None:
    topic = gateway.make_topic()
    answer = post(f"{base}/topics/{topic}", {"records": [{"value": 1}, {"value": 2, "partition": 9}, {"value": 3}]})
    assert answer.status_code == 200
    first, bad, last = answer.json()["offsets"]
    assert (first, last) == (written(0), written(1))
    assert (bad["partition"], bad["offset"], bad["error_code"]) == (None, None, 50002)
    assert "Partition 9" in bad["error"]


def test_a_record_that_is_too_large_for_kafka_fails_alone(gateway: Gateway) -> None:
    topic = gateway.make_topic()
    records = [{"value": 1}, {"value": "x" * 2_000_000}, {"value": "x" * 1_048_540}, {"value": 3}]
    answer = post(f"{gateway.stage}/topics/{topic}", {"records": records})
    assert answer.status_code == 200
    codes = [entry["error_code"] for entry in answer.json()["offsets"]]
    assert (codes[0], codes[1], codes[3]) == (None, 50002, None)
    stored = sum(code is None for code in codes)
    assert len(gateway.read(topic)) == stored
    assert post(f"{gateway.stage}/topics/{topic}", {"records": [{"value": 4}]}).json()["offsets"] == [written(stored)]


@pytest.mark.parametrize(
    ("path", "status", "code", "message"),
    [
        ("/topics/missing", 404, 40401, "Topic not found."),
        ("/topics/missing/partitions/0", 404, 40401, "Topic not found."),
        ("/topics/{topic}/partitions/1", 404, 40402, "Partition not found."),
        ("/topics/{topic}/partitions/-1", 404, 40402, "Partition not found."),
        ("/topics/{topic}/partitions/x", 404, 404, "HTTP 404 Not Found"),
        ("/topics/{topic}/partitions/99999999999", 404, 404, "HTTP 404 Not Found"),
        ("/topics/not%20valid", 400, 40002, None),
        ("/topics/" + "x" * 250, 400, 40002, None),
        ("/nothing/here", 404, 404, "HTTP 404 Not Found"),
        ("/consumers/group", 404, 404, None),
        ("/brokers", 405, 405, "HTTP 405 Method Not Allowed"),
    ],
)
def test_errors_of_the_path(
    gateway: Gateway, base: str, path: str, status: int, code: int, message: str | None
) -> None:
    topic = gateway.make_topic()
    answer = post(base + path.format(topic=topic), {"records": [{"value": 1}]})
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert message is None or answer.json() == {"error_code": code, "message": message}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"null", 422),
        (b"{}", 422),
        (b'{"records":null}', 422),
        (b'{"records":[]}', 422),
        (b'{"records":[{"value":1,"partition":-1}]}', 422),
        (b"{", 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b'{"records":{}}', 400),
        (b'{"records":[1]}', 400),
        (b'{"records":[null]}', 400),
        (b'{"records":[{"value":1,"headers":[]}]}', 400),
        (b'{"records":[{"value":1}],"more":1}', 400),
        (b'{"records":[{"value":1,"partition":"0"}]}', 400),
        (b'{"records":[{"value":1,"partition":true}]}', 400),
        (b'{"records":[{"value":1,"partition":1e3}]}', 400),
        (b'{"records":[{"value":1,"partition":4294967296}]}', 400),
        (b'{"records":[{"value":1,"partition":99999999999999999999}]}', 400),
        (b'{"records":[{"value":NaN}]}', 400),
        (b'{"records":[{"value":1e999}]}', 400),
        (b'{"records":[{"value":"\\ud800"}]}', 400),
        (b'{"records":[{"value":"\xff"}]}', 400),
        (b'{"records":[{"value":' + b"[" * 300 + b"]" * 300 + b"}]}", 400),
        (b'{"records":[{"value":' + b"[" * 3000 + b"]" * 3000 + b"}]}", 400),
        (b'{"records":[{"value":' + b"9" * 5000 + b"}]}", 400),
        (b'{"records":[{"value":1}]} x', 400),
    ],
)
def test_bodies_that_are_refused_store_nothing(gateway: Gateway, body: bytes, status: int) -> None:
    topic = gateway.make_topic()
    answer = post(f"{gateway.proxy}/topics/{topic}", body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, status)
    assert gateway.read(topic) == []


def test_records_sent_to_a_partition_must_not_name_one(gateway: Gateway) -> None:
    topic = gateway.make_topic()
    answer = post(f"{gateway.proxy}/topics/{topic}/partitions/0", {"records": [{"value": 1, "partition": 0}]})
    assert (answer.status_code, answer.json()["error_code"]) == (400, 400)


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain", "application/octet-stream"])
def test_other_content_types_are_415(gateway: Gateway, base: str, content_type: str | None) -> None:
    topic = gateway.make_topic()
    answer = post(f"{base}/topics/{topic}", {"records": [{"value": 1}]}, content_type)
    assert answer.status_code == 415
    assert answer.json() == {"error_code": 415, "message": "HTTP 415 Unsupported Media Type"}


@pytest.mark.parametrize("name", ["avro", "protobuf", "jsonschema"])
def test_schema_formats_are_refused_with_what_is_supported(gateway: Gateway, name: str) -> None:
    answer = post(f"{gateway.proxy}/topics/any", {"records": []}, f"application/vnd.kafka.{name}.v2+json")
    assert (answer.status_code, answer.json()["error_code"]) == (415, 415)
    assert JSON in answer.json()["message"]
    assert BINARY in answer.json()["message"]


@pytest.mark.parametrize("content_type", [f"{JSON}; charset=utf-8", JSON.upper()])
def test_parameters_and_case_of_the_content_type_do_not_matter(gateway: Gateway, content_type: str) -> None:
    assert post(f"{gateway.proxy}/topics/{gateway.make_topic()}", {"records": [{}]}, content_type).status_code == 200


@pytest.mark.parametrize(
    ("accept", "status", "content_type"),
    [
        ("*/*", 200, V2),
        (V2, 200, V2),
        ("application/json", 200, "application/json"),
        (f"{V2}, application/json;q=0.5", 200, V2),
        (f"{V2};q=0.1, application/json", 200, "application/json"),
        ("text/html", 406, V2),
        (f"{V2};q=0", 406, V2),
    ],
)
def test_accept_chooses_the_type_of_the_answer(gateway: Gateway, accept: str, status: int, content_type: str) -> None:
    answer = post(f"{gateway.proxy}/topics/{gateway.make_topic()}", {"records": [{"value": 1}]}, Accept=accept)
    assert (answer.status_code, answer.headers["content-type"]) == (status, content_type)


def of_size(size: int) -> bytes:
    records = [{"value": "x" * 999_900} for _ in range(10)]
    body = json.dumps({"records": records}).encode()
    return body[:-2] + b" " * (size - len(body)) + body[-2:]


def test_a_body_of_10_mib_is_taken_and_one_byte_more_is_not(gateway: Gateway, base: str) -> None:
    topic = gateway.make_topic()
    answer = post(f"{base}/topics/{topic}", of_size(LIMIT))
    assert answer.status_code == 200
    assert answer.json()["offsets"] == [written(n) for n in range(10)]
    refused = post(f"{base}/topics/{topic}", of_size(LIMIT + 1))
    assert refused.status_code == 413
    if base == gateway.stage:
        assert refused.json() == {"message": "Request Too Long"}
        assert refused.headers["x-amzn-ErrorType"] == "RequestTooLargeException"
    else:
        assert refused.json()["error_code"] == 413
    assert len(gateway.read(topic)) == 10


def test_a_body_without_a_length_is_limited_too(gateway: Gateway) -> None:
    body = of_size(LIMIT + 1)
    chunks = (body[start : start + 65_536] for start in range(0, len(body), 65_536))
    answer = HTTP.post(
        f"{gateway.stage}/topics/{gateway.make_topic()}", content=chunks, headers={"Content-Type": JSON}, timeout=60
    )
    assert (answer.status_code, answer.json()) == (413, {"message": "Request Too Long"})


def test_more_records_than_the_queue_holds_are_all_written(gateway: Gateway) -> None:
    topic = gateway.make_topic()
    body = b'{"records":[' + b",".join([b'{"value":1}'] * 250_000) + b"]}"
    offsets = post(f"{gateway.proxy}/topics/{topic}", body).json()["offsets"]
    assert [entry["offset"] for entry in offsets] == list(range(250_000))


def test_a_topic_created_just_now_is_found_though_it_was_asked_for_before(gateway: Gateway) -> None:
    body = {"records": [{"value": 1}]}
    name = gateway.make_topic() + ".later"
    assert post(f"{gateway.stage}/topics/{name}", body).status_code == 404
    gateway.make_topic(name=name)
    assert post(f"{gateway.stage}/topics/{name}", body).json()["offsets"] == [written(0)]


def test_fifty_clients_at_once_get_each_their_own_offsets(gateway: Gateway) -> None:
    topic = gateway.make_topic()
    url = f"{gateway.stage}/topics/{topic}"

    def client(number: int) -> list[tuple[int, bytes]]:
        with httpx.Client(timeout=60) as http:
            found = []
            for n in range(10):
                value = number * 100 + n
                answer = http.post(url, json={"records": [{"value": value}]}, headers={"Content-Type": JSON})
                found.append((answer.json()["offsets"][0]["offset"], b"%d" % value))
            return found

    with concurrent.futures.ThreadPoolExecutor(50) as threads:
        told = sorted(entry for found in threads.map(client, range(50)) for entry in found)
    assert told == list(enumerate(value for _, value in gateway.read(topic)))
