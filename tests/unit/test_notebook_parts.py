"""A notebook's parts without a kernel: its file, its paths, its magics, its charts."""

from pathlib import Path

import pytest

from lakehouse import charts
from pinline.errors import DataError, StateError
from workspace.notebook import document
from workspace.notebook.checkpoints import Checkpoints
from workspace.notebook.databricks import own_name, table_name
from workspace.notebook.dbutils.widgets import Widgets
from workspace.notebook.magics import as_cell_magic, statements
from workspace.notebook.paths import Mounts, Paths

pytestmark = pytest.mark.unit


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Paths with two mounts, one below the name of the other."""
    mounts = Mounts(tmp_path / "mounts.json")
    mounts.add("/mnt/data", "s3a://a-bucket")
    mounts.add("/mnt/data-2", "s3a://other/folder")
    return Paths("user-ann-bucket", mounts)


@pytest.mark.parametrize(
    ("written", "here"),
    [
        ("/mnt/data/topics/*.json", "s3a://a-bucket/topics/*.json"),
        ("dbfs:/mnt/data", "s3a://a-bucket"),
        ("/mnt/data-2/x", "s3a://other/folder/x"),
        ("s3n://KEY:SE%2FCRET@bucket/x", "s3a://bucket/x"),
        ("s3://bucket/x@y", "s3a://bucket/x@y"),
        ("s3a://bucket/x", "s3a://bucket/x"),
        ("/tmp/kinesis/_checkpoints/", "s3a://user-ann-bucket/dbfs/tmp/kinesis/_checkpoints/"),
        ("dbfs:///FileStore//tables/keys.csv", "s3a://user-ann-bucket/dbfs/FileStore/tables/keys.csv"),
        ("file:/etc/hosts", "file:/etc/hosts"),
    ],
)
def test_a_path_is_where_databricks_would_have_it(paths: Paths, written: str, here: str) -> None:
    assert paths.resolve(written) == here


def test_a_path_below_no_mount_is_an_error_that_says_how_to_mount(paths: Paths) -> None:
    with pytest.raises(
        StateError, match=r'mounted are: /mnt/data, .*dbutils.fs.mount\("s3a://user-ann-bucket", "/mnt/x'
    ):
        paths.resolve("/mnt/x/y/z")


@pytest.mark.parametrize(
    ("written", "here"),
    [
        ("SELECT * FROM delta.`/mnt/data/t`", "SELECT * FROM delta.`s3a://a-bucket/t`"),
        ("create table t location '/mnt/data/t'", "create table t location 's3a://a-bucket/t'"),
        ("LOAD DATA INPATH 's3n://k:s@b/x' INTO t", "LOAD DATA INPATH 's3a://b/x' INTO t"),
        (
            'USING csv OPTIONS (path "/mnt/data/x", header true)',
            'USING csv OPTIONS (path "s3a://a-bucket/x", header true)',
        ),
        ("SELECT '/mnt/data/t' AS text, `/mnt/x` FROM t", "SELECT '/mnt/data/t' AS text, `/mnt/x` FROM t"),
        ("MERGE INTO delta.`s3a://b/lake/silver/pin` t", "MERGE INTO delta.`s3a://b/lake/silver/pin` t"),
    ],
)
def test_path_literals_of_sql_are_resolved_and_other_texts_stay(paths: Paths, written: str, here: str) -> None:
    assert paths.in_sql(written) == here


def test_a_checkpoint_belongs_to_one_query_until_it_is_removed(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints.json")
    checkpoints.claim("s3a://b/dbfs/tmp/c", "pins")
    checkpoints.claim("s3a://b/dbfs/tmp/c", "pins")
    with pytest.raises(StateError, match="belongs to the query that writes to pins"):
        checkpoints.claim("s3a://b/dbfs/tmp/c", "geos")
    checkpoints.forget("s3a://b/dbfs/tmp/")
    checkpoints.claim("s3a://b/dbfs/tmp/c", "geos")


def test_a_notebook_writes_tables_to_its_own_schema_only() -> None:
    names = ["pins", "default.pins", "hive_metastore.default.pins", "notebook.pins", "mine.pins"]
    assert [own_name(name) for name in names] == ["pins", *["notebook.pins"] * 3, "mine.pins"]
    assert table_name("silver.pin") == "silver.pin"
    with pytest.raises(StateError, match="the schema silver is written by the pipeline's jobs alone"):
        own_name("silver.pin")


def test_a_databricks_source_file_becomes_cells(tmp_path: Path) -> None:
    file = tmp_path / "notebook.py"
    file.write_text(
        "# Databricks notebook source\n# MAGIC %md\n# MAGIC # Title\n# MAGIC\n# MAGIC text\n\n# COMMAND ----------\n\n"
        "# DBTITLE 1,Count\nx = 1\n\n# COMMAND ----------\n\n# MAGIC %sql\n# MAGIC SELECT 1\n\n# COMMAND ----------\n"
    )
    cells = [(cell.cell_type, cell.source) for cell in document.read(file).cells]
    assert cells == [("markdown", "# Title\n\ntext"), ("code", "x = 1"), ("code", "%sql\nSELECT 1")]


def test_notebooks_are_found_in_the_workspace_and_nowhere_else(tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    (root / "folder").mkdir(parents=True)
    (root / "folder/a.ipynb").touch()
    (root / "b.py").touch()
    (tmp_path / "secret.py").touch()
    (root / "link.py").symlink_to(tmp_path / "secret.py")
    found = {name: document.find(root, name, root / "folder") for name in ("a", "../b", "/b.py", "/Workspace/folder/a")}
    assert [path.relative_to(root).as_posix() for path in found.values()] == [
        "folder/a.ipynb",
        "b.py",
        "b.py",
        "folder/a.ipynb",
    ]
    assert document.find(root, str(root / "b.py"), root) == root / "b.py"
    for outside in ("../../secret.py", "/../secret.py", "/link.py"):
        with pytest.raises(DataError, match="is outside of the workspace's folder"):
            document.find(root, outside, root / "folder")
    with pytest.raises(DataError, match="there is no"):
        document.find(root, "c", root)


def test_one_percent_sign_makes_a_cell_magic() -> None:
    assert as_cell_magic(["\n", "%sql\n", "SELECT 1\n"]) == ["%%sql\n", "SELECT 1\n"]
    assert as_cell_magic(["%sql SELECT 1\n"]) == ["%%sql\n", "SELECT 1\n"]
    assert as_cell_magic(["%%sql\n", "SELECT 1\n"]) == ["%%sql\n", "SELECT 1\n"]
    assert as_cell_magic(["%python\n", "x = 1\n"]) == ["x = 1\n"]
    plain = ["x = '%sql'\n", "%sql SELECT 1\n", "%sqlite\n"]
    assert as_cell_magic(plain) == plain


def test_statements_end_at_semicolons_that_are_neither_quoted_nor_commented() -> None:
    text = "SELECT ';' AS a -- not; here\n;;SELECT /* nor; here */ \"it's; \" ; SELECT `;`, 4 - 3 / 2"
    assert statements(text) == ["SELECT ';' AS a", 'SELECT  "it\'s; "', "SELECT `;`, 4 - 3 / 2"]


def test_a_widget_has_the_runs_parameter_or_its_default() -> None:
    widgets = Widgets({"a": "given", "b": "undefined"})
    widgets.text("a", "default")
    widgets.dropdown("c", "1", ["1", "2"])
    assert widgets.getAll() == {"a": "given", "b": "undefined", "c": "1"}
    widgets.remove("c")
    with pytest.raises(StateError, match=r"there is no widget 'c'; there are: a, b\. Define it"):
        widgets.get("c")
    with pytest.raises(StateError, match="none of 1, 2"):
        widgets.dropdown("d", "3", ["1", "2"])


def test_a_chart_has_a_bar_a_row_with_its_text_escaped() -> None:
    rows = [{"a": "x<y", "n": 1200}, {"a": "none", "n": None}, {"a": "z", "n": 300}]
    svg = charts.bars(rows, "a", "n", "Title & more")
    assert svg.count("<rect") == 2
    assert "x&lt;y" in svg
    assert "1,200" in svg
    assert "Title &amp; more" in svg
    assert "no rows" in charts.bars([], "a", "n")
    assert "(the first 30 of 40)" in charts.bars([{"a": i, "n": i} for i in range(40)], "a", "n")
