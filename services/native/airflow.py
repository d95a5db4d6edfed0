"""Airflow's four processes, which stand in for MWAA: api-server, scheduler, dag-processor, triggerer, on SQLite.

They run in an environment of their own (`airflow` of the downloads folder). The DAGs find Databricks as on MWAA, by the
connection `databricks_default` and the Airflow Variables `user_id`, `notebook_root`, `cluster_id`, which come by
environment from our settings. What Airflow keeps is in `airflow` of the data folder.
"""

import fcntl
import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from urllib.parse import quote, urlsplit

from dotenv import dotenv_values

from native import layout
from native.launch import Launch, child_environment, render
from native.launch import write as write_launch
from pinline.airflow import USER
from pinline.errors import PinlineError
from pinline.settings import ROOT, Settings, secret

FOLDER = ROOT / "airflow"
_REQUIREMENTS = ROOT / "requirements" / "airflow.txt"


def launch(*arguments: str) -> Callable[[Settings], Launch]:
    """Return what tells how `airflow <arguments>` is started."""
    return lambda settings: _launch(settings, *arguments)


def prepare(settings: Settings) -> None:
    """Make Airflow's database, or bring an older one up to date. Whoever comes second waits, and finds it done."""
    folder = layout.service_dir(settings, "airflow")
    layout.make_private(folder)
    stamp = folder / "migrated"
    wanted = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()
    with (folder / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        launch = _launch(settings, "db", "migrate")
        write_launch(launch)
        environment = {**child_environment(settings), **launch.environment}
        done = subprocess.run(
            launch.command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise PinlineError(
                f"making Airflow's database in {folder} failed (exit code {done.returncode}):\n{done.stdout[-2500:]}\n"
                f"If it is broken, its runs can be given up: delete {folder}, then: make up"
            )
        stamp.write_text(wanted)


def _launch(settings: Settings, *arguments: str) -> Launch:
    home = layout.service_dir(settings, "airflow")
    passwords = home / "passwords.json"
    password = secret(settings.airflow_password, "AIRFLOW_PASSWORD")
    values = {
        "home": home,
        "dags": FOLDER / "dags",
        "port": settings.airflow_port,
        "passwords": passwords,
        "jwt_secret": secret(settings.airflow_jwt_secret, "AIRFLOW_JWT_SECRET"),
    }
    text = (FOLDER / "airflow.env").read_text() + render(FOLDER / "embedded.env", values)
    environment = {key: value or "" for key, value in dotenv_values(stream=StringIO(text), interpolate=False).items()}
    return Launch(
        command=(str(_program(settings)), *arguments),
        environment={**environment, **_databricks(settings)},
        files={passwords: json.dumps({USER: password})},
        folders=(home,),
    )


def _databricks(settings: Settings) -> dict[str, str]:
    """The connection and the Variables of the DAGs, as Airflow takes them from its environment."""
    parts = urlsplit(settings.databricks_host)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    token = quote(secret(settings.databricks_token, "DATABRICKS_TOKEN"), safe="")
    return {
        "AIRFLOW_CONN_DATABRICKS_DEFAULT": f"databricks://:{token}@{parts.hostname}:{port}/{parts.scheme}",
        "AIRFLOW_VAR_USER_ID": settings.user_id,
        "AIRFLOW_VAR_NOTEBOOK_ROOT": settings.databricks_notebook_root,
        "AIRFLOW_VAR_CLUSTER_ID": settings.databricks_cluster_id,
    }


def _program(settings: Settings) -> Path:
    program = settings.pinline_local / "airflow" / "bin" / "airflow"
    if not os.access(program, os.X_OK):
        raise PinlineError(f"Airflow is not installed: {program} is not there. Try: make setup")
    return program
