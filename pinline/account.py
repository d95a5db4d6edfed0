"""What an AWS account still lacks for the pipeline. Everything is asked, nothing is changed.

In: settings. Out: a finding for each thing that the batch path needs, with the next command to type where it is
missing. What points at this machine is found `local`: it works, and AWS has no part in it yet.
"""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from kafka.errors import KafkaError
from sqlalchemy import func, select, table, text
from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError

from pinline import aws, kafka_log
from pinline.errors import PinlineError
from pinline.events import EVENTS
from pinline.init import wanted_topics
from pinline.mysql import reader_engine
from pinline.settings import Settings, address

State = Literal["ready", "local", "missing"]

_RDS_AUTHORITY = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
_NO_SUCH_TABLE, _NO_SUCH_DATABASE, _REFUSED = 1146, 1049, (1044, 1045, 1142)
_PROBE_KEY = ".pinline-doctor"
_SECONDS = 5


@dataclass(frozen=True)
class Finding:
    """One thing that the pipeline needs."""

    what: str
    where: str
    setting: str
    state: State
    detail: str
    next: str = ""
    """What to type, or to set; empty if nothing is to be done."""


def examine(settings: Settings) -> list[Finding]:
    """Ask everything, all systems at the same time."""
    asked: tuple[Callable[[Settings], Iterator[Finding]], ...] = (_credentials, _bucket, _kafka, _mysql, _api, _spark)
    with ThreadPoolExecutor(len(asked)) as pool:
        return [finding for found in pool.map(lambda ask: list(ask(settings)), asked) for finding in found]


def _credentials(settings: Settings) -> Iterator[Finding]:
    what, setting = "credentials", "AWS_ACCESS_KEY_ID"
    if settings.aws_endpoint_url_s3:
        detail = "not asked: S3 is not AWS's, and its key need not be a key of AWS"
        yield Finding(what, "", setting, "local", detail, "aws sts get-caller-identity")
        return
    try:
        caller = aws.sts_client(settings).get_caller_identity()
        yield Finding(what, caller["Arn"], setting, "ready", f"account {caller['Account']}")
    except (ClientError, BotoCoreError) as error:
        do = "aws configure sso, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in .env"
        yield Finding(what, settings.aws_region, setting, "missing", _line(error), do)


def _bucket(settings: Settings) -> Iterator[Finding]:
    s3, bucket = aws.s3_client(settings, attempts=1), settings.bucket
    endpoint = settings.aws_endpoint_url_s3
    where, setting = f"s3://{bucket} at {endpoint or 'AWS'}", "AWS_ENDPOINT_URL_S3" if endpoint else "S3_BUCKET"
    good: State = "local" if endpoint else "ready"
    move = "delete the line AWS_ENDPOINT_URL_S3 from .env" if endpoint else ""
    try:
        s3.head_bucket(Bucket=bucket)
        yield Finding("bucket", where, setting, good, "is there", move)
    except (ClientError, BotoCoreError) as error:
        code = _code(error)
        do = {
            "404": f"aws s3 mb s3://{bucket} --region {settings.aws_region}",
            "403": f"allow s3:* on arn:aws:s3:::{bucket}, or set S3_BUCKET: its name may be another account's",
            "301": f"aws s3api get-bucket-location --bucket {bucket}, and set AWS_REGION to it",
        }.get(
            code, "aws sts get-caller-identity" if isinstance(error, NoCredentialsError) else f"aws s3 ls s3://{bucket}"
        )
        yield Finding("bucket", where, setting, "missing", _line(error), do)
        return
    policy = (
        f"allow s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject on arn:aws:s3:::{bucket} and {bucket}/*"
    )
    try:
        s3.list_objects_v2(Bucket=bucket, MaxKeys=1)
        yield Finding("bucket: list", where, setting, good, "is allowed")
    except (ClientError, BotoCoreError) as error:
        yield Finding("bucket: list", where, setting, "missing", _line(error), policy)
    try:
        # the condition can't hold, so nothing is written; who may not write is told that first
        s3.put_object(Bucket=bucket, Key=_PROBE_KEY, Body=b"", IfMatch='"pinline-doctor"')
        yield Finding("bucket: put", where, setting, "missing", "conditional PUTs are not kept to", "use S3 itself")
    except (ClientError, BotoCoreError) as error:
        allowed = _code(error) in ("NoSuchKey", "PreconditionFailed", "404", "412")
        state: State = good if allowed else "missing"
        yield Finding(
            "bucket: put",
            where,
            setting,
            state,
            "is allowed, on conditions too" if allowed else _line(error),
            "" if allowed else policy,
        )


def _kafka(settings: Settings) -> Iterator[Finding]:
    servers = settings.kafka_bootstrap_servers
    local = _is_here(servers.partition(",")[0].rpartition(":")[0])
    good: State = "local" if local else "ready"
    login: str = settings.kafka_security_protocol
    if settings.kafka_sasl_mechanism and login.startswith("SASL"):
        login += f", {settings.kafka_sasl_mechanism}"
    find = "aws kafka get-bootstrap-brokers --cluster-arn <arn>, and put an answer into KAFKA_BOOTSTRAP_SERVERS"
    try:
        with kafka_log.connect(settings) as consumer:
            held = {name: len(consumer.partitions_for_topic(name) or ()) for name in consumer.topics()}
    except (KafkaError, PinlineError, OSError, ValueError) as error:
        do = f"{find}; its security group has to let this machine in, and the login has to be the port's ({login})"
        yield Finding("Kafka", servers, "KAFKA_BOOTSTRAP_SERVERS", "missing", _line(error), do)
        return
    yield Finding("Kafka", servers, "KAFKA_BOOTSTRAP_SERVERS", good, f"answers ({login})", find if local else "")
    for name, partitions in wanted_topics(settings).items():
        there = held.get(name, 0)
        if there == partitions:
            yield Finding(f"topic {name}", servers, "USER_ID", good, f"{there} partitions")
        elif not there:
            do = ".venv/bin/python -m pinline.init"
            yield Finding(f"topic {name}", servers, "USER_ID", "missing", "is not there", do)
        else:
            detail = f"{there} partitions, KAFKA_PARTITIONS is {partitions}"
            do = f"KAFKA_PARTITIONS={there} in .env; Kafka can't take partitions away"
            if there < partitions:
                do = f"kafka-topics.sh --bootstrap-server {servers} --alter --topic {name} --partitions {partitions}"
            yield Finding(f"topic {name}", servers, "KAFKA_PARTITIONS", "missing", detail, do)


def _mysql(settings: Settings) -> Iterator[Finding]:
    where = f"{settings.rds_user}@{settings.rds_host}:{settings.rds_port}/{settings.rds_database}"
    local = _is_here(settings.rds_host)
    good: State = "local" if local else "ready"
    grant = f"GRANT SELECT ON {settings.rds_database}.* TO '{settings.rds_user}'@'%';  -- as RDS_ADMIN_USER"
    seed = "set RDS_ADMIN_USER and RDS_ADMIN_PASSWORD in .env, then: make seed (or load your own rows)"
    try:
        engine = reader_engine(settings)
        with engine.connect() as connection:
            cipher = connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1]
            move = "aws rds describe-db-instances --query 'DBInstances[].Endpoint', and set RDS_HOST" if local else ""
            yield Finding("MySQL", where, "RDS_HOST", good, "answers, and the reading user gets in", move)
            if not local:
                verified = bool(cipher and settings.rds_ssl_ca)
                how = f"{cipher or 'no TLS'}, {'verified' if settings.rds_ssl_ca else 'the server is not verified'}"
                do = f"curl -o rds-ca.pem {_RDS_AUTHORITY}, and RDS_SSL_CA=rds-ca.pem in .env"
                state: State = "ready" if verified else "missing"
                yield Finding("MySQL: TLS", where, "RDS_SSL_CA", state, how, "" if verified else do)
            for event in EVENTS:
                what = f"table {event.table}"
                try:
                    rows = connection.execute(select(func.count()).select_from(table(event.table))).scalar_one()
                except (ProgrammingError, OperationalError) as error:
                    do = seed if error.orig and error.orig.args[0] == _NO_SUCH_TABLE else grant
                    yield Finding(what, where, "RDS_DATABASE", "missing", _line(error.orig), do)
                    continue
                yield Finding(
                    what, where, "RDS_DATABASE", good if rows else "missing", f"{rows:,} rows", "" if rows else seed
                )
        engine.dispose()
    except (SQLAlchemyError, PinlineError) as error:
        cause = getattr(error, "orig", None) or error
        code = cause.args[0] if cause.args else None
        do = "its security group has to let port 3306 in from this machine: aws rds describe-db-instances"
        if code in _REFUSED:
            do = f"check RDS_USER and RDS_PASSWORD; {grant}"
        elif code == _NO_SUCH_DATABASE:
            do = f"CREATE DATABASE {settings.rds_database};  -- as RDS_ADMIN_USER; then: make seed"
        elif isinstance(error, PinlineError):
            do = "put the missing setting into .env"
        yield Finding("MySQL", where, "RDS_HOST", "missing", _line(cause), do)


def _api(settings: Settings) -> Iterator[Finding]:
    url, setting = settings.api_invoke_url, "API_INVOKE_URL"
    local = _is_here(address(url)[0])
    stages = "aws apigateway get-rest-apis, then get-stages: the URL is https://<id>.execute-api.<region>.amazonaws.com/<stage>"
    try:
        urlopen(f"{url}/topics", timeout=_SECONDS).close()  # noqa: S310  # the address of a setting
        yield Finding("API", url, setting, "local" if local else "ready", "lists the topics", stages if local else "")
    except HTTPError as error:
        do = (
            stages
            if error.code < 500
            else "start the REST proxy on the client machine, and let API Gateway reach port 8082"
        )
        yield Finding("API", url, setting, "missing", f"/topics answers {error.code} {error.reason}", do)
    except (URLError, OSError) as error:
        yield Finding("API", url, setting, "missing", _line(error), stages)


def _spark(settings: Settings) -> Iterator[Finding]:
    what, setting = "Spark", "SPARK_REMOTE"
    if settings.spark_remote is None:
        yield Finding(what, "", setting, "ready", "not set: a job takes Databricks' session, or starts its own")
        return
    host, port = address(settings.spark_remote)
    local = _is_here(host)
    cluster = "SPARK_REMOTE=sc://<workspace>:443/;token=<token>;x-databricks-cluster-id=<id> for a Databricks cluster"
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
        detail, do = ("answers", cluster) if local else ("its port is open", "")
        yield Finding(what, f"{host}:{port}", setting, "local" if local else "ready", detail, do)
    except OSError as error:
        yield Finding(what, f"{host}:{port}", setting, "missing", _line(error), cluster)


def _is_here(host: str) -> bool:
    return host in ("localhost", "::1", "[::1]") or host.startswith("127.")


def _code(error: ClientError | BotoCoreError) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _line(error: object) -> str:
    return " ".join(str(error).split()) or type(error).__name__
