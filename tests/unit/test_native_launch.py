"""Generated configuration: made from settings alone, whatever they hold."""

import configparser
import stat
import uuid
from pathlib import Path
from typing import Any

import pytest

from native import kafka, launch, layout, mysql, s3, supervise
from native.launch import Launch
from native.services import SERVICES, choose
from pinline.errors import SettingsError

pytestmark = pytest.mark.unit


def test_the_reader_is_granted_nothing_but_select(make_settings: Any) -> None:
    sql = mysql.users_sql(make_settings(rds_user="me", rds_password="p", rds_database="a_b"))
    grants = [line for line in sql.splitlines() if line.startswith("GRANT")]
    assert grants == [r"GRANT SELECT ON `a\_b`.* TO 'me'@'%';"]


def test_a_password_can_not_end_its_quotes(make_settings: Any) -> None:
    sql = mysql.users_sql(make_settings(rds_password="a'; DROP DATABASE x; --\\"))
    assert r"IDENTIFIED BY 'a\'; DROP DATABASE x; --\\';" in sql


def test_s3_keeps_its_objects_and_listens_where_its_setting_says(make_settings: Any) -> None:
    settings = make_settings(aws_endpoint_url_s3="http://127.0.0.1:4599")
    environment = s3.launch(settings).environment
    assert environment["GATEWAY_PORT"] == "4599"
    assert environment["BIND_HOST"] == "127.0.0.1"
    assert environment["S3_PERSIST"] == environment["PERSIST_STATE"] == "1"
    assert environment["S3_DATA_DIR"].startswith(str(settings.pinline_data))


def test_an_unset_endpoint_has_no_local_service(make_settings: Any) -> None:
    with pytest.raises(SettingsError, match="AWS_ENDPOINT_URL_S3"):
        s3.launch(make_settings())


def test_several_brokers_are_not_the_embedded_one(make_settings: Any) -> None:
    with pytest.raises(SettingsError, match="KAFKA_BOOTSTRAP_SERVERS"):
        kafka.address(make_settings(kafka_bootstrap_servers="b-1:9092,b-2:9092"))


def test_supervisors_configuration_takes_any_character_of_a_path(make_settings: Any, tmp_path: Path) -> None:
    settings = make_settings(pinline_data=tmp_path / "100 % 'mine'")
    program = Launch(("/bin/a program", "it's", "100%"), {"KEY": f"{tmp_path}/50% here"})
    text = supervise.config(settings, {"s3": program}, {"s3": 5}, {"s3": "abc"})
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    assert parser["program:s3"]["command"] == "'/bin/a program' 'it'\"'\"'s' 100%%"
    assert f'KEY="{tmp_path}/50%% here"' in parser["program:s3"]["environment"]


def test_generated_files_are_for_their_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "users.sql"
    launch.write(Launch((), files={file: "secret"}))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_socket_path_stays_short_in_a_deep_folder(make_settings: Any, tmp_path: Path) -> None:
    deep = make_settings(pinline_data=tmp_path / ("x" * 120))
    other = make_settings(pinline_data=tmp_path / ("y" * 120))
    assert len(str(supervise.socket_file(deep))) < 100
    assert layout.run_dir(deep) != layout.run_dir(other)


def test_an_unknown_service_is_answered_with_the_valid_ones() -> None:
    with pytest.raises(SettingsError, match=r"unknown service redis\. Valid: s3, kafka"):
        choose(["redis"])
    assert list(choose([])) == list(SERVICES)


def test_a_cluster_id_never_reads_as_an_option_of_kafkas_format_command() -> None:
    reads_as_option, good = uuid.UUID(bytes=b"\xfb" * 16), uuid.UUID(int=1)
    ids = iter([reads_as_option, good])
    assert kafka.cluster_id(lambda: next(ids)) == "AAAAAAAAAAAAAAAAAAAAAQ"
