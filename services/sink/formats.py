"""A record's value as a line of an object, as JsonConverter without schemas and JsonFormat write it."""

import json

import orjson

_LINE_BREAKS = bytes.maketrans(b"\r\n", b"  ")


class NotJsonError(ValueError):
    """A value that is not JSON; the text is the reason that goes with the dead letter."""


def is_null(value: bytes | None) -> bool:
    """Tell whether Connect would see a null: no value at all, or the JSON literal `null`."""
    return value is None or (len(value) < 32 and value.strip() == b"null")


def to_line(value: bytes) -> bytes:
    """Return `value` as one line, without its line break.

    The bytes stay as they came (numbers of any size, key order, escapes); a line break can stand only between
    tokens of valid JSON, and becomes a space. Raises NotJsonError.
    """
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError as error:
        # orjson refuses lone surrogates written as escapes, which JSON and Connect allow
        _check_by_the_standard_library(value, str(error))
    if b"\n" in value or b"\r" in value:
        return value.translate(_LINE_BREAKS)
    return value


def _check_by_the_standard_library(value: bytes, reason: str) -> None:
    if b"\\u" not in value:
        raise NotJsonError(f"not JSON: {reason}")
    try:
        # numbers are left as text: Python limits the length of an integer, JSON doesn't
        json.loads(value.decode(), parse_int=str, parse_float=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise NotJsonError(f"not JSON: {reason}") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
