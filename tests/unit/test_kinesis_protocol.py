"""The protocol's parts by themselves: the model, bodies, iterators, signatures, limits, settings."""

import ast
import math
import re
from datetime import UTC, datetime
from typing import Any

import botocore.loaders
import cbor2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from kinesis import model, wire
from kinesis.errors import KinesisError, StartError
from kinesis.limits import ShardLimits
from kinesis.settings import read
from kinesis.signature import SignatureCheck
from kinesis.tokens import LIFETIME_MS, Position, decode_page, decode_position, encode_page, encode_position
from pinline.settings import ROOT

pytestmark = pytest.mark.unit

KEY = b"k" * 32
SHARD = ("stream", 1, 0)


def test_the_model_is_the_one_that_botocore_has() -> None:
    theirs: Any = botocore.loaders.Loader().load_service_model("kinesis", "service-2")
    ours = model.table()
    assert set(ours["operations"]) | set(ours["unsupported"]) == set(theirs["operations"])
    for name, shape in ours["operations"].items():
        assert theirs["operations"][name]["input"]["shape"] == shape
    for name, shape in ours["shapes"].items():
        for key, value in shape.items():
            if key == "members":
                assert value == {member: of["shape"] for member, of in theirs["shapes"][name]["members"].items()}
            elif key in ("member", "key", "value"):
                assert value == theirs["shapes"][name][key]["shape"]
            else:
                assert value == theirs["shapes"][name][key]


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"Limit": "1"}, "class java.lang.String can not be converted to an Integer"),
        ({"Limit": True}, "class java.lang.Boolean can not be converted to an Integer"),
        ({"Limit": {}}, "Start of structure or map found where not expected."),
        ({"Limit": math.inf}, "TruncatingBigNumber can not be converted to an Integer"),
        ({"ExclusiveStartStreamName": 1}, "TruncatingBigNumber can not be converted to an String"),
        ({"ExclusiveStartStreamName": [1]}, "Start of list found where not expected"),
    ],
)
def test_a_wrong_type_is_a_serialization_exception(members: dict[str, Any], text: str) -> None:
    with pytest.raises(KinesisError, match=text) as error:
        model.operations()["ListStreams"].parse(members)
    assert error.value.name == "SerializationException"


def test_unknown_members_and_nulls_are_passed_over() -> None:
    assert model.operations()["ListStreams"].parse({"Limit": 3.7, "NoSuch": [], "NextToken": None}) == {"Limit": 3}


def test_a_violated_limit_is_told_in_the_words_of_aws() -> None:
    with pytest.raises(KinesisError) as error:
        model.operations()["PutRecords"].parse({"StreamName": "a", "Records": [{"Data": "YQ==", "PartitionKey": ""}]})
    assert error.value.message == (
        "1 validation error detected: Value '' at 'records.1.member.partitionKey' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1"
    )


def test_times_are_read_from_json_seconds_and_cbor_milliseconds() -> None:
    members = {"ShardId": "s", "ShardIteratorType": "AT_TIMESTAMP"}
    parse = model.operations()["GetShardIterator"].parse
    body = cbor2.dumps({**members, "Timestamp": cbor2.CBORTag(1, 1_700_000_000_500)})
    assert parse(wire.decode(body, wire.CBOR))["Timestamp"] == 1_700_000_000.5
    assert parse({**members, "Timestamp": 1_700_000_000.5})["Timestamp"] == 1_700_000_000.5


@given(st.binary(max_size=200))
def test_any_bytes_are_a_body_or_a_serialization_exception(body: bytes) -> None:
    def status(content_type: str, operation: str) -> int:
        try:
            model.operations()[operation].parse(wire.decode(body, content_type))
        except KinesisError as error:
            return error.status
        return 200

    for content_type in (wire.JSON, wire.CBOR):
        assert {status(content_type, name) for name in ("PutRecords", "ListShards", "AddTagsToStream")} <= {200, 400}


def test_an_iterator_comes_back_as_it_was_and_fits_the_model() -> None:
    position = Position("s" * 128, 2**36 - 1, 2**32 - 1, 2**63)
    text = encode_position(KEY, position, 1000)
    assert len(text) <= 512
    assert decode_position(KEY, text, 1000 + LIFETIME_MS) == position


def test_an_iterator_expires_after_five_minutes() -> None:
    text = encode_position(KEY, Position("s", 1, 0, 0), 1000)
    with pytest.raises(KinesisError, match="Iterator expired") as error:
        decode_position(KEY, text, 1001 + LIFETIME_MS)
    assert error.value.name == "ExpiredIteratorException"


@given(st.text(max_size=80))
def test_forged_iterators_and_tokens_are_refused(text: str) -> None:
    for decode in (decode_position, decode_page):
        with pytest.raises(KinesisError) as error:
            decode(KEY, text, 1000)
        assert error.value.name == "InvalidArgumentException"


def test_every_changed_byte_of_an_iterator_is_noticed() -> None:
    text = encode_position(KEY, Position("stream", 5, 1, 99), 1000)
    for at in range(len(text)):
        forged = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(KinesisError):
            decode_position(KEY, forged, 1000)


def test_a_token_is_no_iterator_and_an_iterator_no_token() -> None:
    with pytest.raises(KinesisError):
        decode_position(KEY, encode_page(KEY, {"stream": "s", "filler": "x" * 40}, 1000), 1000)
    with pytest.raises(KinesisError):
        decode_page(KEY, encode_position(KEY, Position("s", 1, 0, 0), 1000), 1000)


def test_a_token_expires_after_five_minutes() -> None:
    with pytest.raises(KinesisError) as error:
        decode_page(KEY, encode_page(KEY, {}, 1000), 1001 + LIFETIME_MS)
    assert error.value.name == "ExpiredNextTokenException"


def test_a_shard_takes_a_thousand_records_in_a_second() -> None:
    now = [0.0]
    limits = ShardLimits(lambda: now[0])
    assert sum(limits.may_write(SHARD, 10) for _ in range(1200)) == 1000
    now[0] = 0.5
    assert sum(limits.may_write(SHARD, 10) for _ in range(1200)) == 500


def test_a_shard_takes_a_mebibyte_in_a_second() -> None:
    now = [0.0]
    limits = ShardLimits(lambda: now[0])
    assert [limits.may_write(SHARD, 400_000) for _ in range(3)] == [True, True, False]
    assert limits.may_write(("other", 1, 0), 400_000)


def test_a_record_above_a_second_worth_passes_and_is_earned_back() -> None:
    now = [0.0]
    limits = ShardLimits(lambda: now[0])
    assert limits.may_write(SHARD, 10 * 1024 * 1024)
    now[0] = 9.0
    assert not limits.may_write(SHARD, 10)
    now[0] = 9.2
    assert limits.may_write(SHARD, 10)


def test_a_shard_is_read_five_times_a_second_and_two_mebibytes() -> None:
    now = [0.0]
    limits = ShardLimits(lambda: now[0])
    assert [limits.may_read(SHARD) for _ in range(6)] == [True] * 5 + [False]
    now[0] = 1.0
    assert limits.may_read(SHARD)
    limits.have_read(SHARD, 10 * 1024 * 1024)
    now[0] = 4.9
    assert not limits.may_read(SHARD)
    now[0] = 5.1
    assert limits.may_read(SHARD)


def _signed(secret: str, body: bytes = b"{}") -> dict[str, str]:
    request = AWSRequest("POST", "http://127.0.0.1:4567/", data=body, headers={"X-Amz-Target": "Kinesis_20131202.X"})
    request.headers["Host"] = "127.0.0.1:4567"
    SigV4Auth(Credentials("AKID", secret), "kinesis", "us-east-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def test_botocore_signatures_are_accepted() -> None:
    SignatureCheck({"AKID": "secret"}).require("POST", "/", "", _signed("secret"), b"{}")


@pytest.mark.parametrize(
    ("headers", "body", "name"),
    [
        ({}, b"{}", "MissingAuthenticationTokenException"),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=x"}, b"{}", "IncompleteSignatureException"),
        (_signed("other"), b"{}", "InvalidSignatureException"),
        (_signed("secret"), b"{ }", "InvalidSignatureException"),
        ({**_signed("secret"), "x-amz-date": "now"}, b"{}", "IncompleteSignatureException"),
        ({**_signed("secret"), "x-amz-date": "20200101T000000Z"}, b"{}", "InvalidSignatureException"),
    ],
)
def test_other_signatures_are_refused(headers: dict[str, str], body: bytes, name: str) -> None:
    with pytest.raises(KinesisError) as error:
        SignatureCheck({"AKID": "secret"}).require("POST", "/", "", headers, body, datetime.now(UTC))
    assert error.value.name == name


def test_settings_come_from_arguments_before_the_environment() -> None:
    environment = {"KINESIS_PORT": "4000", "KAFKA_BOOTSTRAP_SERVERS": "k:1", "KINESIS_LIMITS": "0"}
    settings = read(["--port", "5000", "--kafka-property", "ssl.ca.location=/ca"], environment)
    assert (settings.port, settings.servers, settings.limits) == (5000, "k:1", False)
    assert settings.kafka["ssl.ca.location"] == "/ca"


@pytest.mark.parametrize(
    "arguments", [["--account-id", "x"], ["--access-keys", "id"], ["--kafka-property", "no-value"]]
)
def test_a_wrong_setting_is_named(arguments: list[str]) -> None:
    with pytest.raises(StartError, match=arguments[0]):
        read(arguments, {})


def test_the_table_of_differences_in_the_docs_is_that_of_the_tests() -> None:
    tests = (ROOT / "tests" / "contract" / "test_kinesis_like_aws.py").read_text()
    (block,) = [
        node.value
        for node in ast.parse(tests).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "OTHERWISE"
    ]
    otherwise: dict[str, str] = ast.literal_eval(block)
    rows = (ROOT / "docs" / "kinesis.md").read_text().splitlines()
    names = re.findall(r"^def (test_\w+)\(cloud", tests, re.MULTILINE)
    for name in names:
        words = name.removeprefix("test_").replace("_", " ")
        assert f"| {words} | yes | {otherwise.get(name, 'yes')} |" in rows
    assert otherwise.keys() <= set(names)
