"""Read the body of a produce request into what Kafka stores.

json: key and value are stored as compact JSON text (a key "k" as its three bytes with quotes, as the real proxy does);
JSON null, or absent, is Kafka's null. binary: key and value are base64. Integers keep all their digits; fractions are
IEEE doubles, as in the real proxy; of an object's repeated names the last counts. What can't be stored as it was sent
(NaN, a lone surrogate, nesting too deep) is refused, so that nothing is stored that was not sent.
"""

import binascii
import json
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import orjson

from gateway.protocol import Format, ProxyError, bad_request

UNASSIGNED = -1
"""The partition of a record that leaves the choice to the partitioner (by key, else at random)."""
_MAX_PARTITION = 2**31 - 1
_REQUEST_FIELDS = frozenset({"records", "key_schema", "key_schema_id", "value_schema", "value_schema_id"})
_RECORD_FIELDS = frozenset({"key", "value", "partition"})
_PARTITION_RECORD_FIELDS = frozenset({"key", "value"})
# orjson reads integers beyond 64 bits as doubles; 19 digits is where that begins
_LONG_NUMBER = b"0" * 19
_DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)


class Record(NamedTuple):
    """One record as Kafka gets it."""

    key: bytes | None
    value: bytes | None
    partition: int


def parse(body: bytes, record_format: Format, partition: int | None = None) -> list[Record]:
    """Return the records of a produce request's body, in order.

    `partition` is that of the path, if there is one: records then must not name their own.
    Raises ProxyError 400 (not JSON, not the form, not base64) or 422 (nothing to produce, a negative partition).
    """
    request, store = read_json(body) if body else (None, _json)
    if request is None:
        raise ProxyError(422, 422, "The request body is empty: expected an object with `records`.")
    if not isinstance(request, dict):
        raise bad_request(f"Cannot read the request: expected an object with `records`, found {_kind(request)}.")
    if unknown := request.keys() - _REQUEST_FIELDS:
        raise _unrecognized(unknown, _REQUEST_FIELDS)
    entries = request.get("records")
    if entries is None or entries == []:
        raise ProxyError(422, 422, "records must not be empty")
    if not isinstance(entries, list):
        raise bad_request(f"Cannot read records: expected an array, found {_kind(entries)}.")
    allowed = _RECORD_FIELDS if partition is None else _PARTITION_RECORD_FIELDS
    if record_format == "binary":
        store = _binary
    records = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise bad_request(f"Cannot read records[{index}]: expected an object, found {_kind(entry)}.")
        if not entry.keys() <= allowed:
            raise _unrecognized(entry.keys() - allowed, allowed, f"records[{index}]: ")
        key, value = entry.get("key"), entry.get("value")
        records.append(
            Record(
                None if key is None else store(key),
                None if value is None else store(value),
                _partition(entry.get("partition"), index) if partition is None else partition,
            )
        )
    return records


def read_json(body: bytes) -> tuple[Any, Callable[[object], bytes]]:
    """Return a body's value, and the function that stores a part of it as JSON text. Raises ProxyError 400."""
    exact = _LONG_NUMBER in body.translate(_DIGITS_AS_ZEROS)  # a regular expression takes ten times as long
    try:
        # orjson is the judge of what is JSON, also of a body that is then read with exact integers
        value = orjson.loads(body)
        return (json.loads(body), _json_exact) if exact else (value, _json)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"Cannot read the request as JSON: {error}") from None


def _json(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except (TypeError, RecursionError):
        _too_deep()


def _json_exact(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, RecursionError):
        _too_deep()


def _too_deep() -> NoReturn:
    raise bad_request("Cannot store the value as JSON: it is nested deeper than 254 levels.")


def _binary(value: object) -> bytes:
    if isinstance(value, str):
        # the padding may be missing, as Java's decoder allows
        try:
            return binascii.a2b_base64(value + "=" * (-len(value) % 4), strict_mode=True)
        except ValueError:
            pass
    text = value if isinstance(value, str) else _kind(value)
    shown = text if len(text) <= 100 else f"{text[:100]}..."
    raise bad_request(f'Bad Request: data="{shown}" is not a valid base64 string.')


def _partition(value: object, index: int) -> int:
    if value is None:
        return UNASSIGNED
    if not isinstance(value, int) or isinstance(value, bool) or value > _MAX_PARTITION:
        raise bad_request(f"Cannot read records[{index}].partition: expected a 32-bit integer, found {_kind(value)}.")
    if value < 0:
        raise ProxyError(422, 422, f"records[{index}].partition must be greater than or equal to 0")
    return value


def _unrecognized(unknown: Any, allowed: frozenset[str], where: str = "") -> ProxyError:
    name = min(unknown)
    return bad_request(f"{where}Unrecognized field {name[:100]!r}. Known: {', '.join(sorted(allowed))}.")


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
