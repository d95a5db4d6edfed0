"""The backends of tests are real: each is asked what a client asks."""

from typing import Any

import pymysql
import pytest
from kafka.admin import KafkaAdminClient
from kafka.errors import UnknownTopicOrPartitionError

pytestmark = pytest.mark.integration


def test_the_broker_answers_and_makes_no_topic_by_itself(kafka_broker: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka_broker)
    try:
        (asked,) = admin.describe_topics(["nobody-made-it"])
        assert asked["error_code"] == UnknownTopicOrPartitionError.errno
        assert "nobody-made-it" not in admin.list_topics()
    finally:
        admin.close()


def test_s3_refuses_to_overwrite_an_object(s3_endpoint: str, make_settings: Any) -> None:
    from botocore.exceptions import ClientError

    from pinline.aws import s3_client

    client = s3_client(make_settings(aws_endpoint_url_s3=s3_endpoint))
    client.create_bucket(Bucket="some-bucket")
    client.put_object(Bucket="some-bucket", Key="a", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket="some-bucket", Key="a", Body=b"2", IfNoneMatch="*")


def test_the_reader_can_not_write(mysql_server: dict[str, Any]) -> None:
    admin = _connect(mysql_server, "admin_")
    reader = _connect(mysql_server, "")
    with admin, reader, admin.cursor() as seeds, reader.cursor() as reads:
        seeds.execute("CREATE TABLE t (a INT)")
        reads.execute("SELECT COUNT(*) FROM t")
        with pytest.raises(pymysql.err.OperationalError, match="denied"):
            reads.execute("INSERT INTO t VALUES (1)")
        seeds.execute("DROP TABLE t")


def _connect(server: dict[str, Any], role: str) -> "pymysql.Connection[Any]":
    return pymysql.connect(
        host=server["rds_host"],
        port=server["rds_port"],
        user=server[f"rds_{role}user"],
        password=server[f"rds_{role}password"],
        database=server["rds_database"],
        autocommit=True,
    )
