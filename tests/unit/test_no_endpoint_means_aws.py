"""With no endpoint set every client goes to AWS. Nothing here touches the network: requests end in botocore's hook."""

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from confluent_kafka import Producer
from kafka.net.sasl.oauth import SaslMechanismOAuth

from lakehouse.session import spark_conf
from pinline.aws import s3_client, sts_client
from pinline.errors import SettingsError
from pinline.kafka import kafka_python_config, librdkafka_config, msk_iam_token
from pinline.settings import Settings
from tests.fixtures.backends import MakeSettings

pytestmark = pytest.mark.unit

REGION = "eu-west-2"
KEY_ID = "AKIDSWITCHTEST"


@pytest.fixture
def aws(make_settings: MakeSettings) -> Settings:
    """Settings of an account, without any endpoint."""
    return make_settings(
        aws_region=REGION,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key="very secret",
        kafka_bootstrap_servers="b-1.example.kafka.eu-west-2.amazonaws.com:9098",
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="AWS_MSK_IAM",
    )


def sent_by(client: Any, call: Callable[[], object], body: bytes = b"") -> AWSPreparedRequest:
    """Return the request that `call` would send; it is answered by a 200 with `body`."""
    seen: list[AWSPreparedRequest] = []

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        seen.append(request)

        class Body:
            def stream(self, **_: object) -> list[bytes]:
                return [body]

        return AWSResponse(request.url, 200, {}, Body())

    client.meta.events.register("before-send.*", answer)
    call()
    (request,) = seen
    return request


def header(request: AWSPreparedRequest, name: str) -> str:
    value = request.headers[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def test_s3_resolves_to_amazonaws_with_the_region_and_the_key_of_the_settings(aws: Settings) -> None:
    client = s3_client(aws)
    request = sent_by(client, lambda: client.put_object(Bucket=aws.bucket, Key="topics/x", Body=b"{}"))
    assert urlsplit(request.url).scheme == "https"
    assert urlsplit(request.url).hostname == f"{aws.bucket}.s3.{REGION}.amazonaws.com"
    assert f"Credential={KEY_ID}/" in header(request, "Authorization")
    assert f"/{REGION}/s3/aws4_request" in header(request, "Authorization")


def test_a_conditional_put_reaches_amazonaws_with_its_condition(aws: Settings) -> None:
    client = s3_client(aws)
    request = sent_by(client, lambda: client.put_object(Bucket=aws.bucket, Key="topics/x", Body=b"{}", IfNoneMatch="*"))
    assert header(request, "If-None-Match") == "*"


def test_the_doctors_question_whose_the_credentials_are_goes_to_amazonaws(aws: Settings) -> None:
    client = sts_client(aws)
    answer = b"<R><GetCallerIdentityResult/><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></R>"
    request = sent_by(client, client.get_caller_identity, answer)
    assert urlsplit(request.url).hostname == f"sts.{REGION}.amazonaws.com"
    assert f"Credential={KEY_ID}/" in header(request, "Authorization")


def test_spark_sets_no_s3_endpoint(aws: Settings) -> None:
    conf = spark_conf(aws)
    assert "spark.hadoop.fs.s3a.endpoint" not in conf
    assert "spark.hadoop.fs.s3a.path.style.access" not in conf
    assert conf["spark.hadoop.fs.s3a.endpoint.region"] == REGION
    assert conf["spark.hadoop.fs.s3a.access.key"] == KEY_ID


def test_without_credentials_in_the_settings_spark_and_boto3_find_their_own(make_settings: MakeSettings) -> None:
    settings = make_settings(aws_access_key_id=None, aws_secret_access_key=None)
    assert not [name for name in spark_conf(settings) if "access.key" in name or "secret.key" in name]


def signed_request(token: str) -> tuple[str, dict[str, list[str]]]:
    """Return host and parameters of the presigned request that an MSK IAM token is."""
    url = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    return url.hostname or "", parse_qs(url.query)


def test_msk_iam_signs_for_the_region_with_the_credentials_of_the_settings(
    aws: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFTHESHELL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    host, parameters = signed_request(msk_iam_token(aws)[0])
    assert host == f"kafka.{REGION}.amazonaws.com"
    assert parameters["Action"] == ["kafka-cluster:Connect"]
    key, _, region, service, _ = parameters["X-Amz-Credential"][0].split("/")
    assert (key, region, service) == (KEY_ID, REGION, "kafka-cluster")


def test_msk_iam_carries_the_session_token_of_temporary_credentials(aws: Settings, make_settings: MakeSettings) -> None:
    temporary = make_settings(aws_session_token="of an assumed role")
    assert signed_request(msk_iam_token(temporary)[0])[1]["X-Amz-Security-Token"] == ["of an assumed role"]


def test_msk_iam_without_credentials_in_the_settings_takes_those_of_the_shell(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFTHESHELL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    settings = make_settings(aws_access_key_id=None, aws_secret_access_key=None)
    assert signed_request(msk_iam_token(settings)[0])[1]["X-Amz-Credential"][0].startswith("AKIDOFTHESHELL/")


def test_kafka_pythons_login_sends_an_msk_iam_token(aws: Settings) -> None:
    config = kafka_python_config(aws)
    assert config["security_protocol"] == "SASL_SSL"
    assert config["sasl_mechanism"] == "OAUTHBEARER"
    said = SaslMechanismOAuth(**config).auth_bytes().decode()
    token = said.partition("auth=Bearer ")[2].partition("\x01")[0]
    assert signed_request(token)[0] == f"kafka.{REGION}.amazonaws.com"


def test_librdkafkas_login_asks_for_an_msk_iam_token(aws: Settings) -> None:
    config = librdkafka_config(aws)
    token, expiry = config["oauth_cb"]("")
    assert signed_request(token)[1]["X-Amz-Expires"] == ["900"]
    assert expiry > 0
    # librdkafka checks the combination of properties when it makes a client; it connects to nobody yet
    Producer({**config, "bootstrap.servers": ""})


def test_sasl_without_a_mechanism_says_what_is_valid(make_settings: MakeSettings) -> None:
    with pytest.raises(SettingsError, match=r"KAFKA_SASL_MECHANISM is not set.*AWS_MSK_IAM"):
        kafka_python_config(make_settings(kafka_security_protocol="SASL_SSL"))
