"""The bucket, the topics and the streams, made once: `python -m pinline.init`. Running it again changes nothing.

The topics of the three events have KAFKA_PARTITIONS partitions, the dead-letter topic has one, and each stream has
KINESIS_SHARDS shards. Local and cloud alike: what the account already has is left as it is.
"""

import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from pinline.aws import kinesis_client, kinesis_errors, s3_client
from pinline.errors import PinlineError, UnreachableError
from pinline.events import dead_letter_topic, streams, topics
from pinline.kafka import kafka_python_config, topic_configs
from pinline.settings import Settings, load

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MARKER_KEY = ".pinline"
"""An object that keeps the bucket from being empty: the local S3 forgets an empty bucket when it is killed."""


def ensure_bucket(settings: Settings) -> bool:
    """Make the bucket if it is missing; say whether it was. Raises UnreachableError or PinlineError."""
    client = s3_client(settings)
    bucket = settings.bucket
    try:
        created = not _exists(client, bucket)
        if created and settings.aws_region != "us-east-1":
            location = {"LocationConstraint": settings.aws_region}
            client.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)  # type: ignore[arg-type]
        elif created:
            client.create_bucket(Bucket=bucket)
        if settings.aws_endpoint_url_s3:
            client.put_object(Bucket=bucket, Key=MARKER_KEY, Body=b"")
    except ClientError as error:
        raise PinlineError(
            f"making the bucket {bucket} failed: {error}. Names are unique in all of AWS: S3_BUCKET sets another."
        ) from None
    except BotoCoreError as error:
        raise UnreachableError("S3", settings.aws_endpoint_url_s3 or "AWS", "AWS_ENDPOINT_URL_S3", error) from None
    return created


def ensure_topics(settings: Settings) -> list[str]:
    """Make the topics that are missing; return their names. Raises UnreachableError or PinlineError."""
    return make_topics(settings, wanted_topics(settings))


def wanted_topics(settings: Settings) -> dict[str, int]:
    """Return the topics of the pipeline, each with its number of partitions."""
    return {
        **dict.fromkeys(topics(settings.user_id), settings.kafka_partitions),
        dead_letter_topic(settings.user_id): 1,
    }


def make_topics(settings: Settings, wanted: Mapping[str, int]) -> list[str]:
    """Make those of `wanted` (name: partitions) that are missing, as topics that keep everything; return their names.

    Raises UnreachableError or PinlineError.
    """
    try:
        admin = KafkaAdminClient(**kafka_python_config(settings))
    except KafkaError as error:
        raise UnreachableError("Kafka", settings.kafka_bootstrap_servers, "KAFKA_BOOTSTRAP_SERVERS", error) from None
    try:
        missing = sorted(wanted.keys() - set(admin.list_topics()))
        if missing:
            admin.create_topics([_topic(settings, name, wanted[name]) for name in missing], wait_for_metadata=True)
    except TopicAlreadyExistsError:
        return []
    except KafkaError as error:
        raise PinlineError(f"making the topics {', '.join(wanted)} failed: {error}") from None
    finally:
        admin.close()
    return missing


def ensure_streams(settings: Settings) -> list[str]:
    """Make those of the three streams that are missing, with KINESIS_SHARDS shards; return their names.

    All three are active then. Raises UnreachableError or PinlineError.
    """
    kinesis = kinesis_client(settings)
    wanted, made = list(streams(settings.user_id)), []
    with kinesis_errors(settings):
        for name in wanted:
            try:
                kinesis.describe_stream_summary(StreamName=name)
            except kinesis.exceptions.ResourceNotFoundException:
                with suppress(kinesis.exceptions.ResourceInUseException):  # another one made it meanwhile
                    kinesis.create_stream(StreamName=name, ShardCount=settings.kinesis_shards)
                made.append(name)
        for name in wanted:
            kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return made


def main() -> int:
    """Make all three, and say what was made."""
    try:
        settings = load()
        bucket, made = ensure_bucket(settings), ensure_topics(settings)
        begun = ensure_streams(settings)
    except PinlineError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(
        f"bucket {settings.bucket}: {'made' if bucket else 'there'}; topics made: {', '.join(made) or 'none'}; "
        f"streams made: {', '.join(begun) or 'none'}"
    )
    return 0


def _exists(client: "S3Client", bucket: str) -> bool:
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return True


def _topic(settings: Settings, name: str, partitions: int) -> NewTopic:
    return NewTopic(
        name,
        num_partitions=partitions,
        replication_factor=settings.kafka_replication_factor,
        topic_configs=topic_configs(settings),
    )


if __name__ == "__main__":
    sys.exit(main())
