"""The first filling of the database, by `python -m seed_data`."""

import subprocess
import sys
from importlib.util import find_spec

from native import launch as launching
from native import layout
from pinline.errors import PinlineError
from pinline.mysql import admin_engine
from pinline.settings import ROOT, Settings
from seed_data import tables


def is_possible(settings: Settings) -> bool:
    """Whether there is a user who may seed, and the generator."""
    return settings.rds_admin_user is not None and find_spec("seed_data.__main__") is not None


def is_empty(settings: Settings) -> bool:
    """Whether no source table holds a row."""
    engine = admin_engine(settings)
    try:
        with engine.connect() as connection:
            return tables.is_empty(connection)
    finally:
        engine.dispose()


def seed(settings: Settings) -> None:
    """Fill it; the output goes to `log/seed.log`. Raises PinlineError with its end if that fails."""
    log = layout.log_file(settings, "seed")
    environment = launching.child_environment(settings)
    with log.open("wb") as out:
        command = [sys.executable, "-m", "seed_data"]
        code = subprocess.run(command, cwd=ROOT, env=environment, stdout=out, stderr=out, check=False).returncode
    if code:
        raise PinlineError(f"seeding the database failed:\n{log.read_text()[-2500:]}\nTry: make seed")
