"""Beyond one machine by settings alone: the configuration that comes out of them. With real clusters:
tests/integration/test_scale.py."""

from pathlib import Path

import pytest

from lakehouse.server import server_conf
from lakehouse.session import spark_conf, without_cluster
from native import ready
from pinline.errors import SettingsError
from pinline.kafka import topic_configs
from pinline.settings import Settings, load
from tests.fixtures.backends import MakeSettings, free_port

pytestmark = pytest.mark.unit

MASTER = "spark://10.0.0.5:7077"


@pytest.fixture
def on_a_cluster(make_settings: MakeSettings, tmp_path: Path) -> Settings:
    """Settings of a driver on 10.0.0.7 whose executors are elsewhere."""
    file = tmp_path / "spark-defaults.conf"
    file.write_text("# executors\nspark.executor.memory   4g\n\nspark.sql.shuffle.partitions=16\n")
    return make_settings(
        spark_remote="sc://10.0.0.7:15002",
        spark_master=MASTER,
        spark_driver_host="10.0.0.7",
        spark_properties=file,
    )


def test_by_default_spark_is_two_cores_of_this_machine_and_listens_on_loopback(make_settings: MakeSettings) -> None:
    conf = spark_conf(make_settings())
    assert conf["spark.master"] == "local[2]"
    assert conf["spark.driver.host"] == conf["spark.driver.bindAddress"] == "127.0.0.1"
    assert not [name for name in conf if name.startswith("spark.executor.")]


def test_on_a_cluster_executors_know_the_driver_s_address_and_have_delta_and_s3a(on_a_cluster: Settings) -> None:
    conf = server_conf(on_a_cluster, "0.0.0.0")
    assert conf["spark.master"] == MASTER
    assert conf["spark.driver.host"] == conf["spark.driver.bindAddress"] == "10.0.0.7"
    assert conf["spark.executor.extraClassPath"] == f"{on_a_cluster.jars_dir}/spark/*"
    assert "-Duser.timezone=UTC" in conf["spark.executor.extraJavaOptions"]


def test_no_folder_of_this_machine_is_prescribed_to_executors_for_what_they_upload(on_a_cluster: Settings) -> None:
    assert "spark.hadoop.fs.s3a.buffer.dir" not in spark_conf(on_a_cluster)


def test_spark_s_own_properties_win_over_ours(on_a_cluster: Settings) -> None:
    conf = spark_conf(on_a_cluster)
    assert conf["spark.executor.memory"] == "4g"
    assert conf["spark.sql.shuffle.partitions"] == "16"
    assert conf["spark.sql.session.timeZone"] == "UTC"


def test_a_line_that_is_no_property_is_named(make_settings: MakeSettings, tmp_path: Path) -> None:
    file = tmp_path / "mine.conf"
    file.write_text("spark.executor.memory 4g\nexecutor memory\n")
    with pytest.raises(SettingsError, match=r"mine\.conf \(SPARK_PROPERTIES\), line 2 is 'executor memory'"):
        spark_conf(make_settings(spark_properties=file))


def test_properties_that_are_not_there_are_named(make_settings: MakeSettings, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.conf \(SPARK_PROPERTIES\)"):
        spark_conf(make_settings(spark_properties=tmp_path / "none.conf"))


def test_the_streaming_job_s_driver_works_alone(on_a_cluster: Settings) -> None:
    conf = spark_conf(without_cluster(on_a_cluster))
    assert (conf["spark.master"], conf["spark.driver.host"]) == ("local[2]", "127.0.0.1")
    assert "spark.executor.memory" not in conf


@pytest.mark.parametrize("master", ["local[8]", "local[*]", MASTER, "spark://a:7077,b:7077"])
def test_a_master_is_this_machine_or_a_standalone_cluster(master: str, make_settings: MakeSettings) -> None:
    assert spark_conf(make_settings(spark_master=master))["spark.master"] == master


def test_a_master_of_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SPARK_MASTER has the value 'yarn'"):
        load(tmp_path / "none.env", spark_master="yarn")


def test_new_topics_keep_everything_and_want_the_in_sync_replicas_of_the_setting(make_settings: MakeSettings) -> None:
    assert topic_configs(make_settings()) == {"retention.ms": "-1"}
    settings = make_settings(kafka_replication_factor=3, kafka_min_insync_replicas=2)
    assert topic_configs(settings) == {"retention.ms": "-1", "min.insync.replicas": "2"}


def test_more_in_sync_replicas_than_copies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"MIN_INSYNC_REPLICAS has the value 3: .*KAFKA_REPLICATION_FACTOR is 2"):
        load(tmp_path / "none.env", kafka_replication_factor=2, kafka_min_insync_replicas=3)


def test_several_brokers_none_of_which_takes_a_connection_do_not_answer(make_settings: MakeSettings) -> None:
    servers = ",".join(f"127.0.0.1:{free_port()}" for _ in range(2))
    with pytest.raises(ConnectionRefusedError):
        ready.kafka(make_settings(kafka_bootstrap_servers=servers))
