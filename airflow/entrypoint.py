"""Becomes `airflow <arguments>` in a container, after writing the password of Airflow's user where Airflow reads it.

SimpleAuthManager takes passwords from a file only; the one here is in memory (/tmp), and the environment loses it.
"""

import json
import os
import sys

user = os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"].partition(":")[0]
password = os.environ.pop("AIRFLOW_PASSWORD", "")
if not password:
    sys.exit("AIRFLOW_PASSWORD is not set. `make up` writes one into .env")
file = os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]
with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
    json.dump({user: password}, out)
os.execvp("airflow", ["airflow", *sys.argv[1:]])  # noqa: S606  # a shell would only be in the way
