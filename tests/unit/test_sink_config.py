"""The properties file: Confluent's keys, and errors that say what is supported."""

import pytest

from pinline.errors import SettingsError
from pinline.settings import ROOT
from sink.config import SinkConfig, parse

pytestmark = pytest.mark.unit

VALUES = {"USER_ID": "ann", "S3_BUCKET": "user-ann-bucket", "AWS_REGION": "eu-west-1"}
MINIMAL = "topics.regex=ann\\\\..*\ns3.bucket.name=user-ann-bucket\nflush.size=10\n"


def read(text: str) -> SinkConfig:
    return parse(text, VALUES, "ann")


def test_the_courses_file_is_understood_with_only_the_user_id_filled_in() -> None:
    text = (ROOT / "tests/data/course-s3-sink.properties").read_text().replace("<UserId>", "ann")
    config = read(text)
    assert config.bucket == "user-ann-bucket"
    assert config.region == "us-east-1"
    assert config.rules.limits.records == 1
    assert config.takes("ann.pin")
    assert not config.takes("dlq.ann")


def test_the_shipped_file_takes_the_users_topics_and_no_others() -> None:
    config = read((ROOT / "services/sink/s3-sink.properties").read_text())
    assert all(config.takes(f"ann.{event}") for event in ("pin", "geo", "user"))
    assert not any(config.takes(t) for t in ("dlq.ann", "kinesis.streaming-ann-pin", "anna.pin", "my.ann.pin", "ann"))
    assert config.rules.limits.records == 1000
    assert config.rules.limits.wall_clock_s == 5
    assert config.rules.limits.bytes == 32 * 1024 * 1024
    assert config.region == "eu-west-1"


def test_unset_means_bad_records_and_nulls_are_tolerated() -> None:
    config = read(MINIMAL)
    assert config.rules.tolerate_bad_records
    assert not config.rules.fail_on_null
    assert config.dead_letter_topic == "dlq.ann"
    assert config.store_url is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("flush.siz=1", "flush.siz: not supported. Supported: name, connector.class"),
        ("flush.size=0", "flush.size=0: valid is a whole number from 1"),
        ("flush.size=ten", "flush.size=ten"),
        ("format.class=io.confluent.connect.s3.format.avro.AvroFormat", "valid is io.confluent.connect.s3.format.json"),
        ("partitioner.class=io.confluent.connect.storage.partitioner.HourlyPartitioner", "DefaultPartitioner"),
        ("behavior.on.null.values=write", "ignore or fail"),
        ("s3.compression.type=snappy", "none or gzip"),
        ("value.converter.schemas.enable=true", "valid is false"),
        ("store.url=localhost:4566", "an address such as"),
        ("topics.regex=(", "topics.regex=("),
        ("topics=ann.pin", "not both"),
        ("s3.bucket.name=${env:NOWHERE}", "NOWHERE is neither a setting nor in the environment"),
    ],
)
def test_a_wrong_line_is_named_with_what_is_valid(line: str, said: str) -> None:
    with pytest.raises(SettingsError) as error:
        read(MINIMAL + line)
    assert said in str(error.value)


@pytest.mark.parametrize("missing", ["s3.bucket.name", "flush.size", "topics.regex"])
def test_a_missing_key_is_named(missing: str) -> None:
    text = "\n".join(line for line in MINIMAL.splitlines() if not line.startswith(missing))
    with pytest.raises(SettingsError, match=missing):
        read(text)


def test_a_regex_that_takes_the_dead_letter_topic_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"takes the dead-letter topic dlq\.ann"):
        read("topics.regex=.*ann.*\ns3.bucket.name=user-ann-bucket\nflush.size=10\n")
    with pytest.raises(SettingsError, match=r"takes the dead-letter topic ann\.dead"):
        read(MINIMAL + "errors.deadletterqueue.topic.name=ann.dead")


def test_every_supported_key_is_understood() -> None:
    config = read(
        "topics=ann.pin, ann.geo\ns3.bucket.name=${env:S3_BUCKET}\nflush.size=10\ntopics.dir=raw/kafka\n"
        "s3.compression.type=gzip\nstore.url=http://127.0.0.1:4566/\nrotate.interval.ms=60000\nrotate.bytes=1000\n"
        "rotate.schedule.interval.ms=250\nerrors.tolerance=none\nbehavior.on.null.values=fail\nname=x\n"
        "errors.deadletterqueue.topic.name=bad\ns3.part.size=5242880\n"
    )
    assert config.topics == ("ann.pin", "ann.geo")
    assert config.bucket == "user-ann-bucket"
    assert config.store_url == "http://127.0.0.1:4566"
    assert config.group == "connect-x"
    assert config.dead_letter_topic == "bad"
    rules = config.rules
    assert (rules.topics_dir, rules.compress, rules.tolerate_bad_records, rules.fail_on_null) == (
        "raw/kafka", True, False, True,
    )  # fmt: skip
    assert (rules.limits.bytes, rules.limits.record_time_ms, rules.limits.wall_clock_s) == (1000, 60000, 0.25)
