"""The switch: the batch path, unchanged, against back ends that demand what AWS's do. Only settings differ.

Its sink has the course's own configuration, its topics have three partitions, and its answers are a second engine's.
"""

import json

import boto3
import pymysql
import pytest
from botocore.exceptions import ClientError
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from native import ready
from pinline.aws import s3_client
from pinline.events import EVENTS
from pinline.kafka import kafka_python_config
from pinline.mysql import reader_engine
from pinline.object_store import list_keys
from pinline.settings import ROOT, secret
from tests.e2e import agreement, oracle
from tests.fixtures.cloud import REGION, Cloud

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

EVENTS_POSTED = 300


def doctor(cloud: Cloud) -> dict[str, dict[str, str]]:
    """What `pinline doctor --aws` finds, by what it looked at. These back ends are on this machine: never `ready`."""
    found = json.loads(cloud.run("pinline", "doctor", "--aws", "--format", "json", code=1))
    return {finding["what"]: finding for finding in found}


def test_the_doctor_names_what_an_empty_account_lacks_and_how_to_get_it(cloud: Cloud) -> None:
    found, bucket = doctor(cloud), cloud.settings.bucket
    assert found["bucket"]["state"] == "missing"
    assert found["bucket"]["next"] == f"aws s3 mb s3://{bucket} --region {REGION}"
    for event in EVENTS:
        topic = found[f"topic {event.topic(cloud.settings.user_id)}"]
        assert (topic["state"], topic["next"]) == ("missing", ".venv/bin/python -m pinline.init")
        table = found[f"table {event.table}"]
        assert (table["state"], "make seed" in table["next"]) == ("missing", True)
    assert "API_INVOKE_URL" in found["API"]["setting"]
    assert {name: found[name]["state"] for name in ("Kafka", "MySQL", "API")} == {
        "Kafka": "local",
        "MySQL": "local",
        "API": "missing",
    }
    said = cloud.run("pinline", "doctor", "--aws", code=1)
    assert f". aws s3 mb s3://{bucket} --region {REGION}" in said


def fill_in_the_course_configuration(cloud: Cloud) -> None:
    """Make the course's file, an object a record, the sink's configuration, as a student would."""
    text = (ROOT / "tests/data/course-s3-sink.properties").read_text()
    for old, new in (
        ("user-<UserId>-bucket", cloud.settings.bucket),
        ("<UserId>", cloud.settings.user_id),
        ("us-east-1", REGION),
    ):
        text = text.replace(old, new)
    cloud.settings.sink_config.write_text(text)


def test_the_batch_path_runs_unchanged_with_tls_scram_and_credentials_of_an_account(cloud: Cloud) -> None:
    fill_in_the_course_configuration(cloud)
    cloud.run("pinline.init")
    cloud.start("lakehouse.server")
    cloud.start("gateway")
    cloud.start("sink")
    cloud.run("seed_data", "--events", str(EVENTS_POSTED))
    cloud.wait_ready(ready.gateway, ready.sink)
    cloud.run("emulator.user_posting_emulation", "--order", "sequential")
    cloud.run("pinline", "wait")
    cloud.wait_ready(ready.spark)
    cloud.run("lakehouse.batch")
    source = oracle.source(reader_engine(cloud.settings))
    agreement.require_silver(cloud.settings, source, EVENTS_POSTED)
    agreement.require_answers(json.loads(cloud.run("lakehouse.results", "--format", "json")), source)
    agreement.require_balanced(json.loads(cloud.run("pinline", "accounting", "--json")), EVENTS_POSTED)
    agreement.require_traced(json.loads(cloud.run("pinline", "trace", str(EVENTS_POSTED - 1), "--json")))
    location = s3_client(cloud.settings).get_bucket_location(Bucket=cloud.settings.bucket)
    assert location["LocationConstraint"] == REGION
    found = doctor(cloud)
    assert {finding["state"] for finding in found.values()} == {"local"}
    assert found["bucket: put"]["detail"] == "is allowed, on conditions too"
    assert not list(list_keys(s3_client(cloud.settings), cloud.settings, ".pinline-doctor")), "it changes nothing"


def test_mysql_refuses_a_connection_without_tls(cloud: Cloud) -> None:
    settings = cloud.settings
    with pytest.raises(pymysql.err.OperationalError, match="secure"):
        pymysql.connect(
            host=settings.rds_host,
            port=settings.rds_port,
            user=settings.rds_user,
            password=secret(settings.rds_password, "RDS_PASSWORD"),
            ssl_disabled=True,
        )


def test_kafka_refuses_a_wrong_password(cloud: Cloud) -> None:
    with pytest.raises(KafkaError):
        KafkaAdminClient(
            **{**kafka_python_config(cloud.settings), "sasl_plain_password": "wrong"}, bootstrap_timeout_ms=2000
        )


def test_s3_refuses_a_wrong_secret(cloud: Cloud) -> None:
    settings = cloud.settings
    s3 = boto3.client(
        "s3",
        endpoint_url=settings.aws_endpoint_url_s3,
        region_name=REGION,
        aws_access_key_id=settings.aws_access_key_id,
        aws_secret_access_key="wrong",
    )
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        s3.list_objects_v2(Bucket=settings.bucket)
