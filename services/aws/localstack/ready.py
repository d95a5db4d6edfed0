"""What LocalStack runs at each of its starts: it has forgotten all, so the bucket and the streams are made again.

The environment says what this container serves: PINLINE_BUCKET, or PINLINE_STREAMS with KINESIS_SHARDS.
"""

import os

import boto3

_ENDPOINT = "http://127.0.0.1:" + os.environ.get("GATEWAY_LISTEN", ":4566").rpartition(":")[2]


def client(service):
    """Return a client of this LocalStack; it takes any credentials."""
    return boto3.client(
        service,
        endpoint_url=_ENDPOINT,
        region_name=os.environ["AWS_REGION"],
        aws_access_key_id="pinline",
        aws_secret_access_key="pinline",  # noqa: S106  # any will do
    )


def make_bucket(name):
    """Make the bucket, with the marker that `pinline.init` puts there too."""
    s3, region = client("s3"), os.environ["AWS_REGION"]
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, **place)
    s3.put_object(Bucket=name, Key=".pinline", Body=b"")


def make_streams(names, shards):
    """Make the streams, and wait until they take records."""
    kinesis = client("kinesis")
    for name in names:
        kinesis.create_stream(StreamName=name, ShardCount=shards)
    for name in names:
        kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


if bucket := os.environ.get("PINLINE_BUCKET"):
    make_bucket(bucket)
if streams := os.environ.get("PINLINE_STREAMS"):
    make_streams(streams.split(), int(os.environ["KINESIS_SHARDS"]))
