"""The options of `format("kinesis")`: what they mean, and what is said about those that aren't valid."""

import pytest

from pyspark_kinesis.errors import OptionError
from pyspark_kinesis.options import InitialPosition, Options, for_batch, parse

pytestmark = pytest.mark.unit


def given(environment: dict[str, str] | None = None, **values: str) -> Options:
    """Return options of a stream, with an empty environment if none is given."""
    return parse({"streamName": "s", **values}, environment or {})


def test_a_stream_is_enough() -> None:
    assert given() == Options(streams=("s",))


def test_names_are_taken_in_any_case() -> None:
    assert parse({"STREAMNAME": "a, b", "maxrecordsperfetch": "5"}, {}).streams == ("a", "b")


def test_an_arn_brings_its_region() -> None:
    arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders"
    found = parse({"streamARN": arn}, {"AWS_REGION": "us-east-1"})
    assert (found.streams, found.region) == ((arn,), "eu-west-1")


def test_the_environment_gives_endpoint_and_region() -> None:
    environment = {"AWS_ENDPOINT_URL_KINESIS": "http://127.0.0.1:4567", "AWS_REGION": "eu-north-1"}
    assert given(environment).endpoint == "http://127.0.0.1:4567"
    assert given(environment, endpointUrl="http://other").endpoint == "http://other"
    assert given(environment).region == "eu-north-1"


def test_times_rates_and_sizes_have_units() -> None:
    found = given(minFetchPeriod="400ms", maxFetchDuration="1m", fetchBufferSize="2gb", maxFetchRate="1.0")
    assert (found.fetch_period, found.fetch_duration) == (0.4, 60)
    assert (found.buffer_bytes, found.bytes_per_second) == (2 * 1024**3, 1024**2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("latest", InitialPosition("latest")),
        ("TRIM_HORIZON", InitialPosition("trim_horizon")),
        ("earliest", InitialPosition("trim_horizon")),
        ('{"at_timestamp": "2020-06-25T10:23:45+02:00"}', InitialPosition("timestamp", 1593073425000)),
        ('{"at_timestamp": "2020-06-25 08:23:45"}', InitialPosition("timestamp", 1593073425000)),
        (
            '{"at_timestamp": "06/25/2020 10:23:45 -0700", "format": "MM/dd/yyyy HH:mm:ss ZZZ"}',
            InitialPosition("timestamp", 1593105825000),
        ),
        (
            '{"at_timestamp": "2020-06-25T10:23:45 UTC", "format": "yyyy-MM-dd\'T\'HH:mm:ss z"}',
            InitialPosition("timestamp", 1593080625000),
        ),
    ],
)
def test_initial_positions(text: str, expected: InitialPosition) -> None:
    assert given(initialPosition=text).initial == expected


def test_a_batch_query_begins_at_the_oldest_record() -> None:
    assert for_batch(given()).begin_at == InitialPosition("trim_horizon")
    with pytest.raises(OptionError, match="nothing to read"):
        for_batch(given(initialPosition="latest"))


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(given(awsAccessKey="AKIA", awsSecretKey="hidden", awsSessionToken="hidden"))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"streamNames": "a"}, "Did you mean streamName"),
        ({"path": "x"}, "the option path is unknown"),
        ({"consumerMode": "efo"}, "enhanced fan-out isn't there"),
        ({"consumerMode": "x"}, "consumerMode=x: not valid"),
        ({"consumerName": "x"}, "enhanced fan-out"),
        ({"serviceCredential": "x"}, "only Databricks knows it"),
        ({"streamName": "a,a"}, "a stream stands there twice"),
        ({"streamName": "a b"}, "'a b' is no stream's name"),
        ({"streamARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/a"}, "both were given"),
        ({"awsAccessKey": "x"}, "awsSecretKey is missing"),
        ({"maxRecordsPerFetch": "10001"}, "a whole number from 1 to 10000"),
        ({"minFetchPeriod": "100ms"}, "a time of at least 200ms"),
        ({"minFetchPeriod": "1"}, "minFetchPeriod=1: not valid"),
        ({"maxFetchRate": "0"}, "maxFetchRate=0: not valid"),
        ({"failOnDataLoss": "maybe"}, "true or false"),
        ({"maxRecordsPerTrigger": "1", "maxBytesPerTrigger": "1mb"}, "a batch has one limit"),
        ({"initialPosition": "newest"}, "initialPosition=newest: not valid"),
        ({"initialPosition": '{"at": 1}'}, "not valid"),
        ({"initialPosition": '{"at_timestamp": "2999-01-01"}'}, "hasn't come yet"),
    ],
)
def test_what_is_not_valid_is_named(values: dict[str, str], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        given(**values)


def test_no_stream_is_an_error() -> None:
    with pytest.raises(OptionError, match="neither was given"):
        parse({}, {})
