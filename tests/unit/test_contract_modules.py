"""The shared modules: names, metadata, ledger, settings, dead letters."""

from datetime import datetime
from pathlib import Path

import orjson
import pytest

from pinline import events, ledger, settings
from pinline.deadletters import Origin
from pinline.errors import SettingsError
from pinline.ledger import Acknowledgement
from pinline.objects import ObjectName, ObjectRange, object_key, parse_key

pytestmark = pytest.mark.unit


def load(tmp_path: Path, text: str = "", **overrides: object) -> settings.Settings:
    file = tmp_path / ".env"
    file.write_text(text)
    return settings.load(file, **overrides)


def test_an_objects_key_is_confluents_and_sorts_as_offsets_do() -> None:
    keys = [object_key("pinline.pin", 0, offset) for offset in (0, 9, 10, 999, 12345)]
    assert keys[0] == "topics/pinline.pin/partition=0/pinline.pin+0+0000000000.json"
    assert keys == sorted(keys)
    assert parse_key(keys[-1]) == ObjectName("pinline.pin", 0, 12345)
    assert parse_key(object_key("t", 3, 7, suffix=".json.gz")) == ObjectName("t", 3, 7)
    assert parse_key("topics/pinline.pin/partition=0/notes.txt") is None


def test_object_metadata_comes_back_and_foreign_metadata_is_none() -> None:
    covered = ObjectRange("AbC", 5, 9, 4)
    assert ObjectRange.from_metadata(covered.to_metadata()) == covered
    assert ObjectRange.from_metadata({"first-offset": "5"}) is None


def test_a_dead_letter_tells_its_origin() -> None:
    origin = Origin("pinline.pin", 2, 17, "not JSON: ü")
    assert Origin.from_headers(origin.to_headers()) == origin
    assert Origin.from_headers([("other", b"1")]) is None


def test_the_ledger_keeps_entries_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / ledger.FILE_NAME
    first, second = Acknowledgement("pin", "7", "kafka", "0", "1"), Acknowledgement("geo", "7", "kafka", "0", "2")
    assert list(ledger.read(path)) == []
    ledger.append(path, [first])
    with path.open("a") as file:
        file.write("pin\t8\tkaf")
    ledger.append(path, [second])
    assert list(ledger.read(path)) == [first, second]


def test_datetimes_are_sent_in_iso_form_without_a_zone() -> None:
    row = {"timestamp": datetime(2022, 1, 1, 2, 26, 50)}  # noqa: DTZ001  # MySQL's DATETIME has no zone
    assert orjson.dumps(row, default=events.json_default, option=orjson.OPT_PASSTHROUGH_DATETIME) == (
        b'{"timestamp":"2022-01-01T02:26:50"}'
    )


def test_names_of_an_event_follow_the_user_id() -> None:
    assert list(events.topics("abc")) == ["abc.pin", "abc.geo", "abc.user"]
    assert events.PIN.stream("abc") == "streaming-abc-pin"
    assert events.GEO.stream_table("abc") == "abc_geo_table"
    assert events.dead_letter_topic("abc") == "dlq.abc"


def test_the_bucket_is_named_after_the_user_unless_set(tmp_path: Path) -> None:
    assert load(tmp_path, "USER_ID=abc").bucket == "user-abc-bucket"
    assert load(tmp_path, "USER_ID=abc\nS3_BUCKET=mine").bucket == "mine"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("USER_ID=Not-Valid", "USER_ID has the value 'Not-Valid'"),
        ("RDS_PORT=70000", "RDS_PORT has the value '70000': Input should be less than or equal to 65535"),
        ("AWS_ENDPOINT_URL_S3=localhost", "expected an address such as http://127.0.0.1:4566"),
        ("SPARK_REMOTE=http://x", "expected an address such as sc://127.0.0.1:15002"),
        ("KAFKA_SECURITY_PROTOCOL=TLS", "'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'"),
    ],
)
def test_a_wrong_setting_names_key_value_and_what_is_valid(tmp_path: Path, line: str, expected: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, line)
    assert expected in str(raised.value)
    assert str(tmp_path / ".env") in str(raised.value)


def test_an_unset_endpoint_means_the_real_service(tmp_path: Path) -> None:
    assert load(tmp_path).aws_endpoint_url_s3 is None
    assert load(tmp_path, "AWS_ENDPOINT_URL_S3=").aws_endpoint_url_s3 is None


def test_passwords_show_nowhere(tmp_path: Path) -> None:
    loaded = load(tmp_path, "RDS_PASSWORD=hunter2")
    assert "hunter2" not in repr(loaded)
    assert settings.secret(loaded.rds_password, "RDS_PASSWORD") == "hunter2"
    with pytest.raises(SettingsError, match="RDS_ADMIN_PASSWORD is not set"):
        settings.secret(loaded.rds_admin_password, "RDS_ADMIN_PASSWORD")
