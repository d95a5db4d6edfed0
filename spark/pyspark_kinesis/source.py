"""The data source that Spark finds under the name `kinesis`."""

from collections.abc import Mapping

from pyspark.sql.datasource import DataSource, DataSourceReader, DataSourceStreamReader
from pyspark.sql.types import StructType

from pyspark_kinesis.batch import KinesisBatchReader
from pyspark_kinesis.errors import OptionError
from pyspark_kinesis.options import for_batch, parse
from pyspark_kinesis.reader import KinesisStreamReader
from pyspark_kinesis.rows import COLUMNS, SCHEMA


class DefaultSource(DataSource):
    """`format("kinesis")`, for `readStream` and `read`.

    Spark registers the class of this name of every importable package named `pyspark_*` by itself.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__(options)  # type: ignore[arg-type]
        # read here, on the driver: tasks on other machines have another environment
        self._options = parse(options)

    @classmethod
    def name(cls) -> str:
        """Return the format's name."""
        return "kinesis"

    def schema(self) -> str:
        """Return the columns, which are Databricks'."""
        return SCHEMA

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802
        """Return the reader of a streaming query."""
        _refuse_other(schema)
        return KinesisStreamReader(self._options)

    def reader(self, schema: StructType) -> DataSourceReader:
        """Return the reader of a batch query."""
        _refuse_other(schema)
        return KinesisBatchReader(for_batch(self._options))


def _refuse_other(schema: StructType) -> None:
    if schema.fieldNames() != list(COLUMNS):
        raise OptionError(
            f"a schema of other columns was given: {schema.simpleString()}. Leave schema() out: it is {SCHEMA}."
        )
