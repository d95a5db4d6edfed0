"""What AWS allows in a request: AWS's own model of the API as a table (model.json), compiled into functions.

`Operation.parse` takes a decoded body and returns its known members in Python's types (blobs are bytes, timestamps
seconds), or raises AWS's error: SerializationException for a wrong type, ValidationException for a limit.
"""

import binascii
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from kinesis.errors import KinesisError, serialization, validation

Path = tuple[Any, ...]
Convert = Callable[[Any], Any]
Check = Callable[[Any, Path, list[str]], None]

_INTEGER = 2**31 - 1
_LONG = 2**63 - 1
_MAX_ERRORS = 10
_MILLISECONDS = 1e11
"""A timestamp above this is in milliseconds, as in CBOR; in seconds it would be in the year 5138."""


@dataclass(frozen=True)
class Operation:
    """An operation of the API: its name, and how its input is read."""

    name: str
    convert: Convert
    check: Check

    def parse(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the request's members. Raises KinesisError."""
        values: dict[str, Any] = self.convert(body)
        errors: list[str] = []
        self.check(values, (), errors)
        if errors:
            count = f"{len(errors)} validation error{'s' if len(errors) > 1 else ''} detected: "
            raise validation(count + "; ".join(errors[:_MAX_ERRORS]))
        return values


@cache
def table() -> dict[str, Any]:
    """Return model.json: `operations` (name to input shape), `unsupported` (names), `shapes`."""
    loaded: dict[str, Any] = json.loads(files("kinesis").joinpath("model.json").read_text())
    return loaded


@cache
def operations() -> dict[str, Operation]:
    """Return the operations that this service has."""
    compiler = _Compiler(table()["shapes"])
    return {
        name: Operation(name, compiler.converter(shape), compiler.checker(shape) or _no_check)
        for name, shape in table()["operations"].items()
    }


def _no_check(_value: Any, _path: Path, _errors: list[str]) -> None:
    return


class _Compiler:
    def __init__(self, shapes: dict[str, Any]) -> None:
        self._shapes = shapes

    def converter(self, name: str) -> Convert:
        shape = self._shapes[name]
        kind = shape["type"]
        if kind == "structure":
            return _structure({member: self.converter(of) for member, of in shape["members"].items()})
        if kind == "list":
            return _list(self.converter(shape["member"]))
        if kind == "map":
            return _map(self.converter(shape["value"]))
        return _SCALARS[kind]

    def checker(self, name: str) -> Check | None:
        """Return the check of a shape's limits, None if it has none."""
        shape = self._shapes[name]
        kind = shape["type"]
        if kind == "structure":
            members = [
                (member, member[0].lower() + member[1:], member in shape.get("required", ()), self.checker(of))
                for member, of in shape["members"].items()
            ]
            return _check_structure([entry for entry in members if entry[2] or entry[3]])
        limits = _limits(shape)
        if kind == "list":
            return _check_list(limits, self.checker(shape["member"]))
        if kind == "map":
            return _check_map(limits, self._shapes[shape["key"]], self._shapes[shape["value"]])
        return _check_scalar(limits) if limits else None


def _type_error(value: Any, wanted: str) -> KinesisError:
    if isinstance(value, dict):
        return serialization("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return serialization("Start of list found where not expected")
    if isinstance(value, bool):
        found = "class java.lang.Boolean"
    elif isinstance(value, int | float):
        found = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber"
    elif isinstance(value, str):
        found = "class java.lang.String"
    else:
        found = "class java.nio.HeapByteBuffer"
    return serialization(f"{found} can not be converted to {wanted}")


def _string(value: Any) -> str:
    if type(value) is not str:
        raise _type_error(value, "an String")
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise _type_error(value, "an Boolean")
    return value


def _integer(value: Any) -> int:
    if type(value) is int:
        return max(-_INTEGER - 1, min(value, _INTEGER))
    if type(value) is float and math.isfinite(value):
        return int(max(-_INTEGER - 1, min(math.floor(value), _INTEGER)))
    raise _type_error(value, "an Integer")


def _long(value: Any) -> int:
    if type(value) is int:
        return max(-_LONG - 1, min(value, _LONG))
    if type(value) is float and math.isfinite(value):
        return int(max(-_LONG - 1, min(math.floor(value), _LONG)))
    raise _type_error(value, "an Long")


def _timestamp(value: Any) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > _LONG:
        raise _type_error(value, "milliseconds since epoch")
    return float(value) / 1000 if abs(value) > _MILLISECONDS else float(value)


def _blob(value: Any) -> bytes:
    if type(value) is str:
        try:
            return binascii.a2b_base64(value, strict_mode=True)
        except ValueError as error:
            shown = value if len(value) <= 100 else value[:100] + "..."
            raise serialization(f"'{shown}' can not be converted to a Blob: {error}") from None
    if type(value) is bytes:
        return value
    raise _type_error(value, "a Blob")


_SCALARS: dict[str, Convert] = {
    "string": _string,
    "boolean": _boolean,
    "integer": _integer,
    "long": _long,
    "timestamp": _timestamp,
    "blob": _blob,
}


def _structure(members: dict[str, Convert]) -> Convert:
    def convert(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise serialization("Start of list found where not expected" if type(value) is list else "Expected null")
        found = {}
        for key, item in value.items():
            member = members.get(key) if type(key) is str else None
            if member is not None and item is not None:
                found[key] = member(item)
        return found

    return convert


def _list(member: Convert) -> Convert:
    def convert(value: Any) -> list[Any]:
        if type(value) is dict:
            raise serialization("Start of structure or map found where not expected.")
        if type(value) is not list:
            raise serialization("Expected list or null")
        return [None if item is None else member(item) for item in value]

    return convert


def _map(member: Convert) -> Convert:
    def convert(value: Any) -> dict[str, Any]:
        if type(value) is list:
            raise serialization("Start of list found where not expected")
        if type(value) is not dict:
            raise serialization("Expected map or null")
        return {_string(key): None if item is None else member(item) for key, item in value.items()}

    return convert


def _limits(shape: dict[str, Any]) -> list[tuple[Callable[[Any], bool], str]]:
    """Return the tests of a shape, each with AWS's words for its failing."""
    found: list[tuple[Callable[[Any], bool], str]] = []
    low, high = shape.get("min"), shape.get("max")
    if shape["type"] in ("integer", "long"):
        if high is not None:
            found.append((lambda v: v <= high, f"Member must have value less than or equal to {high}"))
        if low is not None:
            found.append((lambda v: v >= low, f"Member must have value greater than or equal to {low}"))
    else:
        if high is not None:
            found.append((lambda v: len(v) <= high, f"Member must have length less than or equal to {high}"))
        if low:
            found.append((lambda v: len(v) >= low, f"Member must have length greater than or equal to {low}"))
    if pattern := shape.get("pattern"):
        matches = re.compile(pattern, re.ASCII).fullmatch
        shown = pattern.removeprefix("^").removesuffix("$")
        found.append((lambda v: bool(matches(v)), f"Member must satisfy regular expression pattern: {shown}"))
    if values := shape.get("enum"):
        allowed = frozenset(values)
        found.append((lambda v: v in allowed, f"Member must satisfy enum value set: [{', '.join(values)}]"))
    return found


def _failed(value: str, path: Path, words: str) -> str:
    return f"Value {value} at '{'.'.join(_names(path))}' failed to satisfy constraint: {words}"


def _names(path: Path) -> list[str]:
    # a path is (parent's path, name)
    return [*_names(path[0]), str(path[1])] if path else []


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return f"'java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]'"
    if isinstance(value, list):
        return "'[" + ", ".join("Entry" if isinstance(item, dict) else str(item) for item in value[:20]) + "]'"
    if isinstance(value, dict):
        return "'{" + ", ".join(f"{key}={item}" for key, item in list(value.items())[:20]) + "}'"
    text = str(value)
    return f"'{text if len(text) <= 2048 else text[:2048] + '...'}'"


def _check_scalar(limits: list[tuple[Callable[[Any], bool], str]]) -> Check:
    def check(value: Any, path: Path, errors: list[str]) -> None:
        for holds, words in limits:
            if not holds(value):
                errors.append(_failed(_shown(value), path, words))

    return check


def _check_structure(members: list[tuple[str, str, bool, Check | None]]) -> Check:
    def check(value: Any, path: Path, errors: list[str]) -> None:
        for key, name, required, member in members:
            item = value.get(key)
            if item is None:
                if required:
                    errors.append(_failed("null", (path, name), "Member must not be null"))
            elif member is not None:
                member(item, (path, name), errors)

    return check


def _check_list(limits: list[tuple[Callable[[Any], bool], str]], member: Check | None) -> Check:
    def check(value: Any, path: Path, errors: list[str]) -> None:
        for holds, words in limits:
            if not holds(value):
                errors.append(_failed(_shown(value), path, words))
        for number, item in enumerate(value, 1):
            if item is None:
                errors.append(_failed("null", ((path, number), "member"), "Member must not be null"))
            elif member is not None:
                member(item, ((path, number), "member"), errors)
            if len(errors) >= _MAX_ERRORS:
                return

    return check


def _check_map(limits: list[tuple[Callable[[Any], bool], str]], key: dict[str, Any], value: dict[str, Any]) -> Check:
    def within(text: str | None, shape: dict[str, Any]) -> bool:
        return text is not None and shape.get("min", 0) <= len(text) <= shape.get("max", _INTEGER)

    def words(what: str, shape: dict[str, Any]) -> str:
        return (
            f"{what} must satisfy constraint: [Member must have length less than or equal to {shape.get('max')}, "
            f"Member must have length greater than or equal to {shape.get('min', 0)}]"
        )

    def check(entries: Any, path: Path, errors: list[str]) -> None:
        for holds, text in limits:
            if not holds(entries):
                errors.append(_failed(_shown(entries), path, text))
        if not all(within(name, key) for name in entries):
            errors.append(_failed(_shown(entries), path, words("Map keys", key)))
        if not all(within(item, value) for item in entries.values()):
            errors.append(_failed(_shown(entries), path, words("Map value", value)))

    return check
