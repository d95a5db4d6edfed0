"""What Databricks' Spark has and open Spark's Connect client lacks, put into its classes: paths of Databricks' file
system, `.table` of a DataStreamWriter, tables of notebooks in a schema of their own, a checkpoint's owner.

Changed are only `SparkSession.sql`, the readers' `load` and `table`, the writers' `save`, `saveAsTable`, `insertInto`
and `writeTo`, and the start of a streaming query. All other methods of the classes end in these.
"""

from collections.abc import Callable, MutableMapping
from functools import wraps
from typing import Any

from pyspark.sql.connect import dataframe, readwriter, session
from pyspark.sql.connect.streaming import readwriter as streaming

from lakehouse.tables import SCHEMAS
from pinline.errors import StateError
from pinline.settings import Settings, secret
from workspace.notebook.checkpoints import Checkpoints
from workspace.notebook.paths import Paths

SCHEMA = "notebook"
"""Where a notebook's tables are: in the others each has one writer, which is a job."""

_DEFAULTS = ("default", SCHEMA)
_CATALOGS = ("hive_metastore.", "spark_catalog.")


def install(paths: Paths, checkpoints: Checkpoints, settings: Settings) -> None:
    """Change the classes of this process."""
    _readers(paths, settings)
    _writers(paths)
    _streams(paths, checkpoints)

    def sql(old: Any) -> Any:
        return lambda self, sqlQuery, *rest, **more: old(self, paths.in_sql(sqlQuery), *rest, **more)  # noqa: N803

    _change(session.SparkSession, "sql", sql)


def table_name(name: str) -> str:
    """Return a table's name here: Databricks' default schema and catalog are left out."""
    plain = name.replace("`", "")
    for catalog in _CATALOGS:
        plain = plain.removeprefix(catalog)
    schema, dot, table = plain.partition(".")
    if not dot:
        return name
    return f"{SCHEMA}.{table}" if schema in _DEFAULTS else plain


def own_name(name: str) -> str:
    """Return the name of a table that a notebook writes. Raises StateError when a job writes that schema."""
    found = table_name(name)
    schema, dot, table = found.partition(".")
    if dot and schema in SCHEMAS and schema != SCHEMA:
        raise StateError(
            f"writing the table {name}: the schema {schema} is written by the pipeline's jobs alone. "
            f'A notebook writes to its own: saveAsTable("{table}") is {SCHEMA}.{table}'
        )
    return found


def _readers(paths: Paths, settings: Settings) -> None:
    def load(old: Any) -> Any:
        @wraps(old)
        def changed(self: Any, path: Any = None, *rest: Any, **more: Any) -> Any:
            _resolve_option(self._options, paths)
            if str(more.get("format") or self._format).lower() == "kinesis":
                _kinesis_place(self._options, settings)
            if isinstance(path, str):
                path = paths.resolve(path)
            elif path is not None:
                path = [paths.resolve(item) for item in path]
            return old(self, path, *rest, **more)

        return changed

    def table(old: Any) -> Any:
        return lambda self, tableName: old(self, table_name(tableName))  # noqa: N803

    for reader in (readwriter.DataFrameReader, streaming.DataStreamReader):
        _change(reader, "load", load)
        _change(reader, "table", table)


def _writers(paths: Paths) -> None:
    def save(old: Any) -> Any:
        @wraps(old)
        def changed(self: Any, path: str | None = None, *rest: Any, **more: Any) -> Any:
            _resolve_option(self._write.options, paths)
            return old(self, None if path is None else paths.resolve(path), *rest, **more)

        return changed

    def named(old: Any) -> Any:
        @wraps(old)
        def changed(self: Any, name: str, *rest: Any, **more: Any) -> Any:
            options = getattr(getattr(self, "_write", None), "options", None)
            if options is not None:
                _resolve_option(options, paths)
            return old(self, own_name(name), *rest, **more)

        return changed

    _change(readwriter.DataFrameWriter, "save", save)
    _change(readwriter.DataFrameWriter, "saveAsTable", named)
    _change(readwriter.DataFrameWriter, "insertInto", named)
    _change(dataframe.DataFrame, "writeTo", named)


def _streams(paths: Paths, checkpoints: Checkpoints) -> None:
    def start(old: Any) -> Any:
        @wraps(old)
        def changed(self: Any, path: str | None = None, tableName: str | None = None, **more: Any) -> Any:  # noqa: N803
            write = self._write_proto
            target = None if tableName is None else own_name(tableName)
            place = more.pop("checkpointLocation", None) or write.options.get("checkpointLocation")
            if place:
                place = paths.resolve(place).rstrip("/")
                write.options["checkpointLocation"] = place
                checkpoints.claim(place, target or path or more.get("queryName") or write.query_name or "another sink")
            _resolve_option(write.options, paths)
            return old(self, None if path is None else paths.resolve(path), target, **more)

        return changed

    writer: Any = streaming.DataStreamWriter
    _change(writer, "_start_internal", start)
    writer.table = writer.toTable


def _resolve_option(options: MutableMapping[str, Any], paths: Paths) -> None:
    for name in options:
        if name.lower() == "path":
            options[name] = paths.resolve(options[name])


def _kinesis_place(options: MutableMapping[str, Any], settings: Settings) -> None:
    """On Databricks the cluster knows where Kinesis is and has a role to read it; here the settings say both."""
    names = {name.lower() for name in options}
    if settings.aws_endpoint_url_kinesis and "endpointurl" not in names:
        options["endpointUrl"] = settings.aws_endpoint_url_kinesis
    if not names & {"awsaccesskey", "awssecretkey", "rolearn"} and settings.aws_access_key_id:
        options["awsAccessKey"] = settings.aws_access_key_id
        options["awsSecretKey"] = secret(settings.aws_secret_access_key, "AWS_SECRET_ACCESS_KEY")
    if "region" not in names:
        options["region"] = settings.aws_region


def _change(owner: Any, name: str, change: Callable[[Any], Any]) -> None:
    setattr(owner, name, change(getattr(owner, name)))
