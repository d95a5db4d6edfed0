"""What a Kafka REST answer says of each record."""

import json

import pytest

from emulator.rows import Record
from emulator.target import Accepted, Answer, Failed, KafkaRest, Request, TooLargeError
from pinline.errors import RefusedError
from pinline.events import PIN

pytestmark = pytest.mark.unit

TARGET = KafkaRest("http://127.0.0.1:8000/dev", "anna")
REQUEST = TARGET.request(PIN, [Record(PIN, "7", b'{"index":7}')])


def answer(status: int, body: object, **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode())


def test_a_request_carries_key_and_row_to_the_topic_of_the_event() -> None:
    assert REQUEST.method == "POST"
    assert REQUEST.url == "http://127.0.0.1:8000/dev/topics/anna.pin"
    assert REQUEST.headers["Content-Type"] == "application/vnd.kafka.json.v2+json"
    assert json.loads(REQUEST.body) == {"records": [{"key": "7", "value": {"index": 7}}]}


def test_each_record_of_a_200_has_its_own_outcome() -> None:
    entries = [
        {"partition": 0, "offset": 0, "error_code": None, "error": None},
        {"partition": None, "offset": None, "error_code": 50003, "error": "timed out"},
        {"partition": None, "offset": None, "error_code": 50002, "error": "too large"},
        {"partition": 1, "offset": 12},
    ]
    first, again, stubborn, last = TARGET.outcomes(REQUEST, 4, answer(200, {"offsets": entries}))
    assert (first, last) == (Accepted("0", "0"), Accepted("1", "12"))
    assert isinstance(again, Failed)
    assert not again.hopeless_after(1000)
    assert isinstance(stubborn, Failed)
    assert stubborn.hopeless_after(5)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_and_retry_after_is_read(status: int) -> None:
    outcome = TARGET.outcomes(REQUEST, 2, answer(status, {"message": "later"}, Retry_After="3"))
    assert [failed.retry_after for failed in outcome if isinstance(failed, Failed)] == [3.0, 3.0]


@pytest.mark.parametrize(
    ("status", "hint"),
    [(200, "what listens"), (400, "what listens"), (403, "stage"), (404, "make up"), (415, "kafka rest proxy")],
)
def test_what_cannot_pass_ends_the_run_and_says_what_to_check(status: int, hint: str) -> None:
    with pytest.raises(RefusedError) as refused:
        TARGET.outcomes(REQUEST, 1, answer(status, {"message": "no"}))
    text = str(refused.value)
    assert REQUEST.url in text
    assert f"{status}" in text
    assert hint in text.lower()


def test_a_denied_record_ends_the_run() -> None:
    entry = {"partition": None, "offset": None, "error_code": 40301, "error": "denied"}
    with pytest.raises(RefusedError, match="permission"):
        TARGET.outcomes(REQUEST, 1, answer(403, {"offsets": [entry]}))


def test_a_request_that_is_too_large_is_halved_and_a_record_given_up() -> None:
    large = Request("POST", "http://127.0.0.1/topics/t", {}, b"")
    with pytest.raises(TooLargeError):
        TARGET.outcomes(large, 2, answer(413, {}))
    (outcome,) = TARGET.outcomes(large, 1, answer(413, {}))
    assert isinstance(outcome, Failed)
    assert outcome.hopeless_after(1)
