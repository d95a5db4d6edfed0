"""Values as lines."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sink.formats import NotJsonError, is_null, to_line

pytestmark = pytest.mark.unit

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)


@pytest.mark.parametrize(
    "value",
    [b"0", b"false", b'""', b"{}", b'{"n":12345678901234567890123.50}', b' {"a" : 1} ', b'"\\ud800"', '"ü😀"'.encode()],
)
def test_a_value_without_line_breaks_stays_as_it_came(value: bytes) -> None:
    assert to_line(value) == value


def test_line_breaks_between_tokens_become_spaces_and_numbers_stay() -> None:
    assert to_line(b'{\r\n"n": 1.10,\n"m": 10000000000000000000000}') == b'{  "n": 1.10, "m": 10000000000000000000000}'


@pytest.mark.parametrize(
    "value", [b"", b"poison", b'{"a":', b"NaN", b"\xff", b'{"a":1}{"a":2}', b'"\n"', b"[" * 100_000]
)
def test_what_is_not_json_is_refused_with_a_reason(value: bytes) -> None:
    with pytest.raises(NotJsonError, match=r"not JSON: ."):
        to_line(value)


@given(JSON, st.integers(0, 4))
def test_a_line_is_one_line_with_the_same_value(value: object, indent: int) -> None:
    line = to_line(json.dumps(value, indent=indent or None).encode())
    assert b"\n" not in line
    assert json.loads(line) == value


@pytest.mark.parametrize(
    ("value", "null"), [(None, True), (b"null", True), (b" null\n", True), (b"0", False), (b"", False)]
)
def test_no_value_and_the_json_null_are_null(value: bytes | None, null: bool) -> None:
    assert is_null(value) is null
