"""What is made once: `python -m pinline.init`."""

import pytest

from pinline.errors import UnreachableError
from pinline.events import streams
from pinline.init import ensure_streams
from tests.fixtures.backends import MakeSettings, free_port
from tests.fixtures.kinesis import Kinesis

pytestmark = pytest.mark.integration


def test_the_streams_are_made_once_with_the_shards_that_were_asked_for(
    kinesis: Kinesis, make_settings: MakeSettings
) -> None:
    settings = make_settings(aws_endpoint_url_kinesis=kinesis.url, kinesis_shards=2)
    names = list(streams(settings.user_id))
    assert ensure_streams(settings) == names
    assert ensure_streams(settings.model_copy(update={"kinesis_shards": 3})) == []
    for name in names:
        summary = kinesis.client().describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        assert (summary["StreamStatus"], summary["OpenShardCount"]) == ("ACTIVE", 2)


def test_without_kinesis_the_setting_is_named(make_settings: MakeSettings) -> None:
    settings = make_settings(aws_endpoint_url_kinesis=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UnreachableError, match="AWS_ENDPOINT_URL_KINESIS"):
        ensure_streams(settings)
