"""The `.env` of the embedded stack."""

import stat
from pathlib import Path

import pytest
from dotenv import dotenv_values

from native import envfile

pytestmark = pytest.mark.unit

EXAMPLE = "USER_ID=pinline\nAWS_ENDPOINT_URL_S3=http://127.0.0.1:4566\n# a comment\nRDS_PASSWORD=\nKAFKA_PARTITIONS=1\n"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    file = tmp_path / ".env.example"
    file.write_text(EXAMPLE)
    return file


def test_a_new_file_has_generated_passwords_and_only_its_owner_reads_it(tmp_path: Path, example: Path) -> None:
    file, other = tmp_path / ".env", tmp_path / "other"
    envfile.ensure(file, example)
    envfile.ensure(other, example)
    password = dotenv_values(file)["RDS_PASSWORD"]
    assert password
    assert len(password) >= 16
    assert password != dotenv_values(other)["RDS_PASSWORD"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_existing_file_keeps_every_line_and_gets_what_it_lacks(tmp_path: Path, example: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("USER_ID=me # mine\nRDS_PASSWORD=chosen\nAWS_ENDPOINT_URL_S3=http://127.0.0.1:1\n")
    before = file.read_text()
    assert envfile.ensure(file, example) == ["KAFKA_PARTITIONS"]
    assert file.read_text().startswith(before)
    assert dotenv_values(file)["KAFKA_PARTITIONS"] == "1"
    assert envfile.ensure(file, example) == []


def test_an_example_that_was_copied_by_hand_gets_its_passwords(tmp_path: Path, example: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(EXAMPLE)
    assert envfile.ensure(file, example) == []
    assert dotenv_values(file)["RDS_PASSWORD"]
    assert dotenv_values(file)["USER_ID"] == "pinline"


def test_a_deleted_endpoint_means_aws_and_is_not_added_back(tmp_path: Path, example: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("USER_ID=me\nRDS_PASSWORD=chosen\nKAFKA_PARTITIONS=1\n")
    assert envfile.ensure(file, example) == []


def test_keys_that_were_deleted_with_the_endpoint_mean_boto3s_own(tmp_path: Path, example: Path) -> None:
    example.write_text(f"{EXAMPLE}AWS_ACCESS_KEY_ID=pinline\nAWS_SECRET_ACCESS_KEY=\n")
    file = tmp_path / ".env"
    file.write_text("USER_ID=me\nRDS_PASSWORD=chosen\nKAFKA_PARTITIONS=1\n")
    assert envfile.ensure(file, example) == []
    file.write_text(f"{file.read_text()}AWS_ENDPOINT_URL_S3=http://127.0.0.1:4566\n")
    assert envfile.ensure(file, example) == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]


def test_a_setting_that_is_commented_out_is_left_so(tmp_path: Path, example: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("USER_ID=me\nRDS_PASSWORD=chosen\n# KAFKA_PARTITIONS=3\n")
    assert envfile.ensure(file, example) == []


def test_a_reference_to_another_setting_is_left_for_compose_to_follow(tmp_path: Path, example: Path) -> None:
    example.write_text(f"{EXAMPLE}KINESIS=localstack\nCOMPOSE_PROFILES=${{KINESIS}}\n")
    new, older = tmp_path / "new", tmp_path / "older"
    older.write_text(EXAMPLE)
    envfile.ensure(new, example)
    envfile.ensure(older, example)
    for file in (new, older):
        assert "\nCOMPOSE_PROFILES=${KINESIS}\n" in file.read_text()
        assert dotenv_values(file)["COMPOSE_PROFILES"] == "localstack"


def test_airflows_secret_is_as_long_as_its_signatures_want(tmp_path: Path) -> None:
    envfile.ensure(tmp_path / ".env")
    secret = dotenv_values(tmp_path / ".env")["AIRFLOW_JWT_SECRET"]
    assert secret
    assert len(secret) >= 64


def test_a_misspelt_key_is_named_with_the_setting_that_was_meant(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("RDS_PASWORD=x\nUSER_ID=me\nMY_OWN=y\nCOMPOSE_PROJECT_NAME=z\n")
    assert envfile.unknown_keys(file) == {"RDS_PASWORD": "RDS_PASSWORD", "MY_OWN": None}


def test_every_key_of_the_shipped_example_is_a_setting() -> None:
    assert envfile.unknown_keys(envfile.EXAMPLE) == {}
