"""Reading a produce request's body."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol import ProxyError, negotiate, record_format
from gateway.records import UNASSIGNED, Record, parse

pytestmark = pytest.mark.unit

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@given(_JSON)
def test_every_json_value_is_stored_as_its_equal(value: object) -> None:
    body = json.dumps({"records": [{"value": value}]}).encode()
    (record,) = parse(body, "json")
    if value is None:
        assert record.value is None
    else:
        assert record.value is not None
        assert json.loads(record.value) == value


@given(st.integers(-(10**60), 10**60))
def test_integers_of_any_size_keep_their_digits(value: int) -> None:
    (record,) = parse(b'{"records":[{"value":{"n":%d}}]}' % value, "json")
    assert record == Record(None, b'{"n":%d}' % value, UNASSIGNED)


def test_a_text_with_many_digits_is_stored_as_any_other() -> None:
    (record,) = parse('{"records":[{"value":"é 1234567890123456789012"}]}'.encode(), "json")
    assert record.value == '"é 1234567890123456789012"'.encode()


def test_nesting_is_kept_to_254_levels_and_refused_beyond() -> None:
    parse(b'{"records":[{"value":' + b"[" * 254 + b"]" * 254 + b"}]}", "json")
    with pytest.raises(ProxyError, match="nested"):
        parse(b'{"records":[{"value":' + b"[" * 255 + b"]" * 255 + b"}]}", "json")


def test_deep_nesting_beside_a_long_number_is_stored_exactly() -> None:
    value = b"[" * 400 + b"1234567890123456789012" + b"]" * 400
    (record,) = parse(b'{"records":[{"value":' + value + b"}]}", "json")
    assert record.value == value


@pytest.mark.parametrize("depth", [1010, 1020, 1100, 5000])
def test_nesting_deeper_than_a_parser_goes_is_refused(depth: int) -> None:
    value = b"[" * depth + b"1234567890123456789012" + b"]" * depth
    with pytest.raises(ProxyError) as caught:
        parse(b'{"records":[{"value":' + value + b"}]}", "json")
    assert caught.value.status == 400


@pytest.mark.parametrize("accept", ["", None, "*/*", "application/*", "text/html, */*;q=0.1"])
def test_an_accept_that_takes_anything_gets_the_protocols_type(accept: str | None) -> None:
    assert negotiate(accept) == "application/vnd.kafka.v2+json"


@pytest.mark.parametrize(
    "accept", ["text/html", "application/json;q=x", ";;;,,,", "application/vnd.kafka.avro.v2+json"]
)
def test_an_accept_that_cannot_be_met_is_406(accept: str) -> None:
    with pytest.raises(ProxyError) as caught:
        negotiate(accept)
    assert caught.value.status == 406


def test_the_format_comes_from_the_content_type() -> None:
    assert record_format("application/vnd.kafka.json.v2+json") == "json"
    assert record_format("application/vnd.kafka.binary.v2+json") == "binary"
