"""The switch: the batch path, unchanged, against back ends that demand what AWS's do. Only settings differ."""

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
from pinline.settings import secret
from tests.fixtures.cloud import REGION, Cloud

pytestmark = pytest.mark.e2e

EVENTS_POSTED = 120


def test_the_batch_path_runs_unchanged_with_tls_scram_and_credentials_of_an_account(cloud: Cloud) -> None:
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
    answers = json.loads(cloud.run("lakehouse.results", "--format", "json"))
    assert set(answers) == {"q1", "q2", "q3a", "q3b", "q4", "q5", "q6", "q7", "q8"}
    assert answers["q1"]
    balances = json.loads(cloud.run("pinline", "accounting", "--json"))
    for event in EVENTS:
        assert balances[event.name]["balanced"]
        assert balances[event.name]["acknowledged"] == EVENTS_POSTED
        assert balances[event.name]["kafka_records"] == EVENTS_POSTED
    location = s3_client(cloud.settings).get_bucket_location(Bucket=cloud.settings.bucket)
    assert location["LocationConstraint"] == REGION


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
