"""What `docker compose` is given and what it answers, as values."""

import json
from pathlib import Path
from typing import Any

import pytest

from containers import compose, engine, images, preflight, stack, status
from containers.compose import Container, Service
from containers.engine import Engine, Inspected
from pinline.errors import SettingsError
from pinline.settings import ROOT, Settings
from tests.fixtures.backends import MakeSettings

pytestmark = pytest.mark.unit

ADDRESSES: dict[str, Any] = {
    "kafka_bootstrap_servers": "127.0.0.1:19092",
    "aws_endpoint_url_s3": "http://127.0.0.1:14566",
    "aws_endpoint_url_kinesis": "http://localhost:14567",
    "api_invoke_url": "http://127.0.0.1:18000/prod",
    "spark_remote": "sc://127.0.0.1:25002",
    "databricks_host": "http://127.0.0.1:18001",
}


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings(**ADDRESSES, rds_password="p$w${X}", kinesis="own")


def service(name: str = "kafka", **values: Any) -> Service:
    return Service(
        **{
            "name": name,
            "image": f"some/{name}",
            "dockerfile": "",
            "is_task": False,
            "has_check": True,
            "ports": (),
            "memory": None,
            **values,
        }
    )


def container(state: str = "running", health: str = "healthy", exit_code: int = 0, **values: Any) -> Container:
    return Container(
        **{
            "id": "0123456789ab",
            "service": "kafka",
            "state": state,
            "health": health,
            "exit_code": exit_code,
            "ports": frozenset(),
            **values,
        }
    )


def test_ports_come_from_the_addresses_that_this_machine_uses(settings: Settings) -> None:
    assert compose.ports(settings) == {
        "KAFKA_PORT": 19092,
        "S3_PORT": 14566,
        "KINESIS_PORT": 14567,
        "API_PORT": 18000,
        "SPARK_PORT": 25002,
        "WORKSPACE_PORT": 18001,
    }


def test_an_address_elsewhere_moves_no_port_and_is_refused_where_the_stack_has_that_service(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(
        **{**ADDRESSES, "aws_endpoint_url_s3": None, "kafka_bootstrap_servers": "b-1:9092,b-2:9092"}
    )
    assert {"S3_PORT", "KAFKA_PORT"}.isdisjoint(compose.ports(settings))
    local = {name: service(name, ports=(1,)) for name in ("s3", "kafka", "spark")}
    told = preflight.address_problems(settings, local)
    assert [text.split(" is ")[0] for text in told] == ["KAFKA_BOOTSTRAP_SERVERS", "AWS_ENDPOINT_URL_S3"]
    assert preflight.address_problems(settings, {"spark": local["spark"]}) == []


def test_where_aws_takes_the_place_of_services_an_address_of_this_machine_is_refused(
    make_settings: MakeSettings,
) -> None:
    of_aws = {
        "aws_endpoint_url_s3": None,
        "aws_endpoint_url_kinesis": None,
        "kafka_bootstrap_servers": "b-1:9098",
        "rds_host": "db.example",
    }
    assert preflight.account_problems(make_settings(**of_aws)) == []
    local = make_settings(**{**of_aws, "kafka_bootstrap_servers": "127.0.0.1:9092"})
    (told,) = preflight.account_problems(local)
    assert told.startswith("KAFKA_BOOTSTRAP_SERVERS is 127.0.0.1:9092")
    assert "docs/aws.md" in told


def test_compose_sees_the_values_that_the_commands_see_whatever_signs_are_in_them(settings: Settings) -> None:
    found = compose.environment(settings, {"PATH": "/bin"}, complete=True)
    assert found["RDS_PASSWORD"] == "p$w${X}"
    assert found["API_STAGE"] == "prod"
    assert found["KAFKA_PORT"] == "19092"
    assert found["COMPOSE_PROFILES"] == "own"
    assert found["PATH"] == "/bin"
    assert "RDS_ROOT_PASSWORD" not in found, "what is missing has to be told"


def test_stopping_needs_no_secret(settings: Settings) -> None:
    found = compose.environment(settings, {}, complete=False)
    assert found["RDS_ROOT_PASSWORD"]
    assert found["RDS_PASSWORD"] == "p$w${X}"


def test_overrides_come_after_compose_yaml_which_need_not_be_named() -> None:
    assert compose.files_of("compose.redpanda.yaml") == ["compose.yaml", "compose.redpanda.yaml"]
    named = "compose.yaml:compose.aws.yaml:mine.yaml"
    assert compose.files_of(named) == ["compose.yaml", "compose.aws.yaml", "mine.yaml"]


def test_profiles_follow_the_setting_unless_they_are_named(settings: Settings) -> None:
    def profiles(named: str | None) -> str:
        return compose.environment(settings, {}, named, complete=False)["COMPOSE_PROFILES"]

    assert profiles(None) == "own"
    assert profiles("${KINESIS},tools") == "own,tools"
    assert profiles("") == "", "none, as on AWS"


def test_containers_are_read_as_lines_and_as_a_list() -> None:
    entries = [
        {
            "ID": "0123456789abcdef",
            "Service": "kafka",
            "State": "running",
            "Health": "healthy",
            "ExitCode": 0,
            "Publishers": [
                {"URL": "127.0.0.1", "TargetPort": 9092, "PublishedPort": 19092, "Protocol": "tcp"},
                {"URL": "", "TargetPort": 9093, "PublishedPort": 0, "Protocol": "tcp"},
            ],
        },
        {"ID": "ba9876543210", "Service": "init", "State": "exited", "ExitCode": 3, "Publishers": None},
    ]
    expected = [
        container(ports=frozenset({19092})),
        container("exited", "", 3, id="ba9876543210", service="init"),
    ]
    assert compose.containers("\n".join(json.dumps(entry) for entry in entries)) == expected
    assert compose.containers(json.dumps(entries)) == expected
    assert compose.containers("") == []


def test_services_have_the_order_of_the_file_and_what_is_added_comes_last() -> None:
    model = {
        "services": {
            "added": {"image": "x"},
            "init": {
                "image": "pinline/sink",
                "build": {"context": ".", "dockerfile": "services/sink/Dockerfile"},
                "restart": "no",
            },
            "kafka": {
                "image": "apache/kafka:4.1.1",
                "restart": "unless-stopped",
                "mem_limit": "738197504",
                "healthcheck": {"test": ["CMD", "true"]},
                "ports": [{"target": 9092, "published": "19092", "host_ip": "127.0.0.1"}],
            },
        }
    }
    found = compose.services(model, "services:\n  kafka:\n    x: 1\n  init:\n    x: 1\n")
    assert list(found) == ["kafka", "init", "added"]
    assert found["kafka"] == Service("kafka", "apache/kafka:4.1.1", "", False, True, (19092,), 738197504)
    assert found["init"].dockerfile == "services/sink/Dockerfile"
    assert found["init"].is_task


def test_the_shipped_file_names_every_service_that_a_setting_finds() -> None:
    text = Path(compose.ROOT / compose.MAIN_FILE).read_text()
    assert all(f"\n  {name}:" in text for name in preflight._ADDRESSES)


@pytest.mark.parametrize(
    ("found", "word", "settled", "failed"),
    [
        ([], "waiting", False, False),
        ([container("created", "")], "waiting", False, False),
        ([container(health="starting")], "starting", False, False),
        ([container(health="unhealthy")], "not healthy", False, False),
        ([container()], "ready", True, False),
        ([container(health="")], "starting", False, False),
        ([container("restarting", "", 137)], "ended, starting again", False, False),
        ([container("exited", "", 0)], "ended (0)", False, True),
        ([container(), container(health="starting")], "starting", False, False),
        ([container(), container("exited", "", 1)], "ended (1)", False, True),
    ],
)
def test_a_service_is_as_far_as_the_slowest_of_its_containers(
    found: list[Container], word: str, settled: bool, failed: bool
) -> None:
    assert stack.progress(service(), found) == (word, settled, failed)


def test_a_service_that_nothing_checks_is_ready_when_it_runs() -> None:
    assert stack.progress(service(has_check=False), [container(health="")]).is_settled


def test_a_task_is_settled_when_it_has_ended_well() -> None:
    task = service("init", is_task=True)
    assert stack.progress(task, [container("running", "")]) == ("working", False, False)
    assert stack.progress(task, [container("exited", "", 0)]) == ("done", True, False)
    assert stack.progress(task, [container("exited", "", 1)]).has_failed


def inspected(**values: Any) -> Inspected:
    return Inspected(
        **{
            "id": "0123456789ab",
            "service": "kafka",
            "image": "some/kafka",
            "started_at": engine.moment("2026-11-25T22:00:00.123456789Z"),
            "exit_code": 0,
            "was_out_of_memory": False,
            "error": "",
            "restarts": 0,
            "health_output": "",
            **values,
        }
    )


def shown(found: list[Container], known: Inspected, **values: Any) -> Any:
    return status.line(service(**values), "there", found, {known.id: known}, {"0123456789ab": 5})


def test_status_shows_container_memory_and_since_when() -> None:
    line = shown([container()], inspected())
    assert (line.state, line.container, line.memory_bytes) == ("ready", "0123456789ab", 5)
    assert line.since == "2026-11-25T22:00:00.123456+00:00"
    assert line.pid is None


def test_status_says_why_a_service_is_not_ready() -> None:
    starting = shown([container(health="starting")], inspected(health_output="no answer\nyet"))
    assert (starting.state, starting.reason) == ("starting", "no answer yet")
    unhealthy = shown([container(health="unhealthy")], inspected(health_output="503"))
    assert (unhealthy.state, unhealthy.reason) == ("failing", "503")
    killed = shown([container("restarting", "", 137)], inspected(was_out_of_memory=True))
    assert killed.state == "failing"
    assert killed.reason is not None
    assert killed.reason.startswith("killed for memory")


def test_status_of_what_does_not_run() -> None:
    assert shown([], inspected()).state == "stopped"
    assert shown([container("exited", "", 137)], inspected()).state == "stopped", "stopped, if not gently"
    task = shown([container("exited", "", 0)], inspected(), is_task=True)
    assert (task.state, task.detail, task.container) == ("ready", "done", None)
    failed = shown([container("exited", "", 2)], inspected(), is_task=True)
    assert (failed.state, failed.reason) == ("failing", "ended (2)")


def test_status_counts_the_containers_of_a_scaled_service() -> None:
    assert shown([container(), container()], inspected()).detail == "2 containers"


def test_memory_is_read_in_dockers_units() -> None:
    lines = [{"ID": "0123456789abcdef", "MemUsage": "1.5GiB / 2GiB"}, {"ID": "b" * 12, "MemUsage": "0B / 0B"}]
    assert engine.memory_of(lines) == {"0123456789ab": 1610612736, "b" * 12: 0}


def test_a_time_that_never_was_is_none() -> None:
    assert engine.moment("0001-01-01T00:00:00Z") is None


def test_too_little_memory_is_told_with_both_ways_out() -> None:
    (text,) = preflight.memory_problems(Engine("20.10.24", 4_000_000_000, Path("/")))
    assert "4.0 GB" in text
    assert "RUNTIME=native" in text
    assert preflight.memory_problems(Engine("20.10.24", 8_000_000_000, Path("/"))) == []


def test_a_full_disk_is_told_unless_it_is_another_machines(tmp_path: Path) -> None:
    assert preflight.disk_problems(tmp_path, 1 << 62)
    assert preflight.disk_problems(tmp_path / "of-a-virtual-machine", 1 << 62) == []


def test_the_setting_that_moves_a_port_is_known(settings: Settings) -> None:
    named = preflight.settings_of_ports(settings)
    assert (named[19092], named[25002], named[3306]) == ("KAFKA_BOOTSTRAP_SERVERS", "SPARK_REMOTE", "RDS_PORT")


def test_an_unknown_service_is_named_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"unknown service broker\. Valid: kafka, s3"):
        stack.choose({"kafka": service(), "s3": service("s3")}, ["broker"])


def test_a_service_comes_with_what_it_needs() -> None:
    all_of_them = {
        "s3": service("s3"),
        "kafka": service(),
        "init": service("init", needs=("kafka",)),
        "sink": service("sink", needs=("init", "not-in-this-profile")),
    }
    assert list(stack.choose(all_of_them, ["sink"])) == ["kafka", "init", "sink"]
    assert list(stack.choose(all_of_them, [])) == list(all_of_them)


def test_a_builds_lines_tell_how_far_each_image_is() -> None:
    steps = images.Steps()
    assert steps.hear("#7 [gateway build 1/3] RUN sh venv.sh") == ("gateway", "building: 1 of 3 steps")
    assert steps.hear("#8 [gateway stage-1 2/5] RUN useradd") == ("gateway", "building: 2 of 8 steps")
    assert steps.hear("#9 [airflow-api 1/2] RUN x") == ("airflow-api", "building: 1 of 2 steps")
    assert steps.hear("#8 [gateway stage-1 2/5] RUN useradd") == ("gateway", "building: 2 of 8 steps")
    assert steps.hear("#7 [gateway internal] load metadata") is None
    assert steps.hear("#9 12.3 Collecting boto3") is None


def test_an_image_is_made_anew_when_what_it_copies_changes_and_only_then(tmp_path: Path) -> None:
    (tmp_path / "pinline" / "__pycache__").mkdir(parents=True)
    (tmp_path / "pinline" / "a.py").write_text("1")
    (tmp_path / "one.txt").write_text("1")
    (tmp_path / "Dockerfile").write_text(
        "FROM x AS build\nCOPY one.txt other.txt ./\nCOPY pinline /app/pinline\nFROM x\n"
        "COPY --from=build /opt /opt\nCOPY --chown=1 one.txt /\n"
    )

    def made() -> str:
        return images.sources("Dockerfile", tmp_path)

    before = made()
    (tmp_path / "pinline" / "__pycache__" / "a.pyc").write_text("x")
    (tmp_path / "docs.md").write_text("x")
    assert made() == before
    for name in ("pinline/a.py", "one.txt", "Dockerfile"):
        (tmp_path / name).write_text(f"{(tmp_path / name).read_text()}\n# more")
        assert made() != before, name
        before = made()


@pytest.mark.parametrize("file", sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("*/Dockerfile")))
def test_what_an_image_of_ours_copies_is_found(file: str) -> None:
    found = {str(path.relative_to(ROOT)) for path in images._files(file, ROOT)}
    assert {file, "services/containers/venv.sh"} <= found
    assert len(found) > 3
