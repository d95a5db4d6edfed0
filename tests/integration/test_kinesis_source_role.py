"""`roleArn`: the role is asked of STS, and its keys sign what is asked of Kinesis. Both are MiniStack's."""

from urllib.parse import parse_qs

import pytest

from pyspark_kinesis.client import Kinesis
from pyspark_kinesis.errors import AccessError
from pyspark_kinesis.options import parse
from tests.faults.proxy import FaultProxy, post_of, replies
from tests.fixtures.kinesis import client, unique_stream

pytestmark = pytest.mark.integration

ROLE = "arn:aws:iam::000000000000:role/reader"
REFUSAL = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
    b"<Message>not authorized to perform sts:AssumeRole</Message></Error></ErrorResponse>"
)


def reading(url: str, stream: str) -> Kinesis:
    given = {"streamName": stream, "region": "us-east-1", "endpointUrl": url, "roleArn": ROLE}
    keys = {"awsAccessKey": "test", "awsSecretKey": "test", "roleExternalId": "classroom"}
    return Kinesis(parse(given | keys, {}))


def test_a_role_is_asked_of_sts_once_and_its_keys_sign_the_calls(
    ministack_kinesis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = unique_stream(1, client(ministack_kinesis))
    with FaultProxy(ministack_kinesis) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", proxy.url)
        kinesis = reading(proxy.url, stream)
        assert kinesis.state(stream).active
        assert len(kinesis.shards(stream)) == 1
    first, *calls = [request for request, _ in proxy.answers]
    asked = {name: values[0] for name, values in parse_qs(first.body.decode()).items()}
    assert asked["Action"] == "AssumeRole"
    assert (asked["RoleArn"], asked["ExternalId"]) == (ROLE, "classroom")
    assert "Credential=test/" in first.headers["Authorization"]
    assert len(calls) == 2
    for call in calls:
        assert "Credential=test/" not in call.headers["Authorization"]
        assert call.headers["X-Amz-Security-Token"]


def test_a_role_that_is_refused_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultProxy("http://127.0.0.1:1") as proxy:
        proxy.rule(post_of(""), replies(403, REFUSAL, **{"Content-Type": "text/xml"}))
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", proxy.url)
        with pytest.raises(AccessError, match=r"roleArn") as refused:
            reading(proxy.url, "orders").state("orders")
    assert "sts:AssumeRole" in str(refused.value)
