"""The cleaning rules, as DataFrame -> DataFrame, for batch and stream alike.

In: lines with their JSON text in `raw`, and any other columns, which are kept. Out: those columns, the silver columns
of the event, and `reason`: null for a clean row, else why the row belongs in quarantine (its silver columns then mean
nothing).
Nothing that isn't understood becomes null silently: null is for JSON's null, empty text and the known markers only.
"""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812  # its name everywhere

from lakehouse.schemas import SILVER, VALUE_TYPES, record_pattern, value_pattern
from pinline.events import TIMESTAMP_FORMATS, EventType

MARKERS: dict[str, tuple[str, ...]] = {
    "title": ("No Title Data Available",),
    "description": ("No description available Story format", "No description available", "Untitled"),
    "follower_count": ("User Info Error",),
    "poster_name": ("User Info Error",),
    "image_src": ("Image src error.",),
    "tag_list": ("N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e",),
}
"""What the source writes in place of a value that it doesn't have."""

_SAVED_IN = "^Local save in "
_BLANK = r"(?U)^\s*$"
_COUNT = r"^(\d{1,12}(?:\.\d{1,6})?)([kM]?)$"
_LARGEST_INT = 2**31 - 1
_OLDEST = 150


@dataclass(frozen=True)
class Rules:
    """An event's silver columns, and the problems that a well-formed record may still have (null: none)."""

    columns: dict[str, Column]
    problems: list[Column]


def clean(lines: DataFrame, event: EventType) -> DataFrame:
    """Return `lines` with the silver columns of `event` and `reason`."""
    return Cleaning(event)(lines)


class Cleaning:
    """`clean` of one event, prepared: its columns are made once, which takes longer than a small frame does."""

    def __init__(self, event: EventType) -> None:
        self._json = F.expr("try_parse_json(raw)")
        self._shape = _shape_problem(event)
        values = F.struct(*(_value(column.name, VALUE_TYPES[column.json_type]) for column in event.columns))
        self._values = F.when(F.col("_shape").isNull(), values)
        rules = {"pin": _pin, "geo": _geo, "user": _user}[event.name]()
        key = F.col(f"_values.{event.key_column}")
        problems = [_said(key.isNull(), F.lit(f"key missing: {event.key_column} is null")), *rules.problems]
        reason = F.coalesce("_shape", F.nullif(F.concat_ws("; ", *problems), F.lit("")))
        columns = {"ind": key, **rules.columns}
        self._cleaned = [*(columns[name].alias(name) for name in SILVER[event.name].names), reason.alias("reason")]

    def __call__(self, lines: DataFrame) -> DataFrame:
        """Return `lines` with the silver columns and `reason`."""
        parsed = lines.withColumn("_json", self._json).withColumn("_shape", self._shape)
        return parsed.withColumn("_values", self._values).select(*lines.columns, *self._cleaned)


def _value(name: str, kind: str) -> Column:
    return F.expr(f"try_variant_get(_json, '$.{name}', '{kind}')").alias(name)


def _said(condition: Column, text: Column) -> Column:
    return F.when(condition, text)


def _shape_problem(event: EventType) -> Column:
    """Why `raw` is not a record of the event: its text, its columns or their types. Null if it is one."""
    expected = F.array(*(F.lit(name) for name in event.column_names))
    found = F.expr("schema_of_variant(_json)")
    keys = F.expr("json_object_keys(raw)")
    missing, unknown = F.array_except(expected, keys), F.array_except(keys, expected)
    columns = F.concat_ws(
        "; ",
        _said(F.size(missing) > 0, F.concat(F.lit("missing column: "), F.array_join(missing, ", "))),
        _said(F.size(unknown) > 0, F.concat(F.lit("unknown column: "), F.array_join(unknown, ", "))),
    )
    twice = keys.isNotNull() & (F.size(F.array_distinct(keys)) < F.size(keys))
    return (
        F.when(F.col("_json").isNull() & twice, F.lit("not JSON: a column stands in it twice"))
        .when(F.col("_json").isNull() | ~_is_one_value(), F.lit("not JSON"))
        .when(found.rlike(record_pattern(event)), F.lit(None).cast("string"))
        .when(~found.startswith("OBJECT<"), F.lit("not an object"))
        .when(found == "OBJECT<>", F.lit("empty object"))
        .when(columns != "", columns)
        .otherwise(F.concat_ws("; ", *(_type_problem(c.name, c.json_type, value_pattern(c)) for c in event.columns)))
    )


def _is_one_value() -> Column:
    """Whether `raw`, which begins with a JSON value, is that and nothing more: parsers stop at the value's end.

    An object whose text has no other closing brace than its last character ends there. For any other, whatever follows
    would have to be right in an array as well as in an object; that takes two more parses.
    """
    return F.expr(
        "(startswith(raw, '{') AND locate('}', raw) = length(raw)) "
        "OR coalesce(json_array_length('[' || raw || ']') = 1, false) "
        """AND coalesce(json_object_keys('{"r":' || raw || '}') = array('r'), false)"""
    )


def _type_problem(name: str, json_type: str, pattern: str) -> Column:
    kind = F.expr(f"schema_of_variant(variant_get(_json, '$.{name}'))")
    wrong = F.concat(F.lit(f"wrong type: {name} is "), kind, F.lit(f", not {json_type}"))
    if json_type == "integer":
        large = F.concat(F.lit(f"out of range: {name} is "), F.expr(f"variant_get(_json, '$.{name}', 'string')"))
        wrong = F.when(kind.rlike(r"^DECIMAL\((19|[23]\d),0\)$"), large).otherwise(wrong)
    return _said(~kind.rlike(f"^({pattern})$"), wrong)


def _text(name: str) -> Column:
    """A text column: empty, blank and marker become null; anything else stays as it is."""
    value = F.col(f"_values.{name}")
    told = ~value.rlike(_BLANK)
    if markers := MARKERS.get(name):
        told &= ~value.isin(*markers)
    return F.when(told, value)


def _out_of_range(name: str, low: int, high: int) -> Column:
    value = F.col(f"_values.{name}")
    return _said(~value.between(low, high), F.concat(F.lit(f"out of range: {name} is "), value.cast("string")))


def _pin() -> Rules:
    text = _text("follower_count")
    unit = F.regexp_extract(text, _COUNT, 2)
    factor = F.when(unit == "k", 1_000).when(unit == "M", 1_000_000).otherwise(1).cast("decimal(8,0)")
    number = F.when(text.rlike(_COUNT), F.regexp_extract(text, _COUNT, 1).cast("decimal(18,6)") * factor)
    whole = number == F.floor(number)
    count = F.when(whole & (number <= _LARGEST_INT), number.cast("int"))
    problem = F.when(
        text.isNotNull() & ~F.coalesce(whole, F.lit(False)), F.concat(F.lit("unparseable follower_count: "), text)
    ).when(number > _LARGEST_INT, F.concat(F.lit("out of range: follower_count is "), text))
    names = (
        "unique_id",
        "title",
        "description",
        "poster_name",
        "tag_list",
        "is_image_or_video",
        "image_src",
        "category",
    )
    columns = {name: _text(name) for name in names}
    saved = F.regexp_replace(_text("save_location"), _SAVED_IN, "")
    return Rules({**columns, "follower_count": count, "save_location": saved}, [problem])


def _geo() -> Rules:
    time, problem = _time("timestamp")
    latitude, longitude = F.col("_values.latitude"), F.col("_values.longitude")
    place = F.when(latitude.isNotNull() | longitude.isNotNull(), F.array(latitude, longitude))
    columns = {"country": _text("country"), "coordinates": place, "timestamp": time}
    return Rules(columns, [problem, _out_of_range("latitude", -90, 90), _out_of_range("longitude", -180, 180)])


def _user() -> Rules:
    time, problem = _time("date_joined")
    name = F.nullif(F.concat_ws(" ", _text("first_name"), _text("last_name")), F.lit(""))
    columns = {"user_name": name, "age": F.col("_values.age").try_cast("int"), "date_joined": time}
    return Rules(columns, [problem, _out_of_range("age", 0, _OLDEST)])


def _time(name: str) -> tuple[Column, Column]:
    text = _text(name)
    time = F.coalesce(*(F.try_to_timestamp(text, F.lit(form)) for form in TIMESTAMP_FORMATS))
    return time, _said(text.isNotNull() & time.isNull(), F.concat(F.lit(f"unparseable {name}: "), text))
