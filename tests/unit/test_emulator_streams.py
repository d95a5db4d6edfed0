"""What the API's Kinesis routes are asked, and what their answers say of each record."""

import json

import pytest

from emulator.rows import Record
from emulator.streams import KinesisStreams
from emulator.target import Accepted, Answer, Failed, TooLargeError
from pinline.errors import RefusedError
from pinline.events import PIN

pytestmark = pytest.mark.unit

TARGET = KinesisStreams("http://127.0.0.1:8000/dev", "anna")
ROW = b'{"index":7,"title":"\\"No\\" \xc3\xbc"}'
REQUEST = TARGET.request(PIN, [Record(PIN, "7", ROW)])
SHARD = "shardId-000000000000"


def answer(status: int, body: object) -> Answer:
    return Answer(status, {}, json.dumps(body).encode())


def test_one_record_is_put_as_the_course_puts_it() -> None:
    assert (REQUEST.method, REQUEST.url) == ("PUT", "http://127.0.0.1:8000/dev/streams/streaming-anna-pin/record")
    assert json.loads(REQUEST.body) == {
        "StreamName": "streaming-anna-pin",
        "Data": json.loads(ROW),
        "PartitionKey": "7",
    }


def test_several_records_are_put_as_the_text_of_their_rows() -> None:
    request = TARGET.request(PIN, [Record(PIN, "7", ROW), Record(PIN, "8", b'{"index":8}')])
    assert request.url.endswith("/streams/streaming-anna-pin/records")
    assert json.loads(request.body)["records"] == [
        {"data": ROW.decode(), "partition-key": "7"},
        {"data": '{"index":8}', "partition-key": "8"},
    ]


def test_a_sequence_number_is_an_acknowledgement() -> None:
    said = answer(200, {"ShardId": SHARD, "SequenceNumber": "495"})
    assert TARGET.outcomes(REQUEST, 1, said) == [Accepted(SHARD, "495")]


def test_each_record_of_a_200_has_its_own_outcome() -> None:
    records = [
        {"ShardId": SHARD, "SequenceNumber": "495"},
        {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"},
        {"ErrorCode": "SomethingElse", "ErrorMessage": "?"},
    ]
    first, again, stubborn = TARGET.outcomes(REQUEST, 3, answer(200, {"FailedRecordCount": 2, "Records": records}))
    assert first == Accepted(SHARD, "495")
    assert isinstance(again, Failed)
    assert not again.hopeless_after(1000)
    assert isinstance(stubborn, Failed)
    assert stubborn.hopeless_after(5)


@pytest.mark.parametrize("status", [200, 400])
def test_throttling_is_tried_again_whatever_the_status(status: int) -> None:
    said = answer(
        status, {"__type": "com.amazonaws#ProvisionedThroughputExceededException", "message": "Rate exceeded"}
    )
    (failed,) = TARGET.outcomes(REQUEST, 1, said)
    assert isinstance(failed, Failed)
    assert not failed.hopeless_after(1000)


@pytest.mark.parametrize("status", [200, 400])
def test_a_missing_stream_ends_the_run_and_says_what_to_do(status: int) -> None:
    said = answer(status, {"__type": "ResourceNotFoundException", "message": "Stream x not found."})
    with pytest.raises(RefusedError, match="make up"):
        TARGET.outcomes(REQUEST, 1, said)


def test_a_record_that_kinesis_never_takes_is_parted_from_the_others_and_then_set_aside() -> None:
    said = answer(400, {"__type": "InvalidArgumentException", "message": "too large"})
    with pytest.raises(TooLargeError):
        TARGET.outcomes(REQUEST, 2, said)
    (failed,) = TARGET.outcomes(REQUEST, 1, said)
    assert isinstance(failed, Failed)
    assert failed.hopeless_after(1)


@pytest.mark.parametrize(("status", "body"), [(504, {"message": "Network error"}), (500, {"__type": "X"}), (429, {})])
def test_an_api_that_is_not_there_is_tried_again(status: int, body: object) -> None:
    (failed,) = TARGET.outcomes(REQUEST, 1, answer(status, body))
    assert isinstance(failed, Failed)
    assert not failed.hopeless_after(1000)


@pytest.mark.parametrize(("status", "body"), [(200, {"message": "hello"}), (200, []), (403, {"message": "Missing"})])
def test_an_answer_of_something_else_ends_the_run(status: int, body: object) -> None:
    with pytest.raises(RefusedError, match="API_INVOKE_URL"):
        TARGET.outcomes(REQUEST, 1, answer(status, body))
