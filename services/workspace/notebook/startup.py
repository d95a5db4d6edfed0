"""How a kernel becomes a Databricks notebook's: IPython runs a startup file before the first cell."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

_FILE = """\
from workspace.notebook import kernel

kernel.begin(get_ipython(), {values!r})
"""


@dataclass(frozen=True)
class Runtime:
    """What a kernel is told: the run's parameters, and the id of its Spark session (none: one of its own)."""

    parameters: dict[str, str] = field(default_factory=dict)
    session: str | None = None


def write(folder: Path, runtime: Runtime) -> dict[str, str]:
    """Make `folder` IPython's, with the startup file. Returns the environment that a kernel needs to use it."""
    scripts = folder / "profile_default" / "startup"
    scripts.mkdir(parents=True, exist_ok=True)
    (scripts / "00-workspace.py").write_text(_FILE.format(values=json.dumps(asdict(runtime))), encoding="utf-8")
    return {"IPYTHONDIR": str(folder)}


def read(values: str) -> Runtime:
    """Return what `write` put into the startup file."""
    return Runtime(**json.loads(values))
