"""JupyterLab on the notebooks of the workspace, with the environment that runs have: `make notebooks`.

It listens on 127.0.0.1:JUPYTER_PORT and asks for the token of the address that it prints. The kernels' Spark sessions
are on the server of SPARK_REMOTE.
"""

import os
import sys

from pinline.errors import PinlineError
from pinline.settings import Settings, load
from workspace.notebook import startup


def command(settings: Settings) -> tuple[list[str], dict[str, str]]:
    """Return the command that starts JupyterLab, and what its environment needs."""
    folder = settings.pinline_data / "workspace"
    words = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={settings.workspace_root}"]
    words += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={settings.jupyter_port}", "--ServerApp.port_retries=0"]
    if os.geteuid() == 0:
        words.append("--allow-root")
    places = {f"JUPYTER_{kind.upper()}_DIR": str(folder / "jupyter" / kind) for kind in ("config", "data", "runtime")}
    return words, {**places, **startup.write(folder / "ipython", startup.Runtime())}


def main() -> None:
    """Become JupyterLab; arguments are passed on to it."""
    try:
        words, environment = command(load())
    except PinlineError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    os.execve(words[0], [*words, *sys.argv[1:]], {**os.environ, **environment})  # noqa: S606  # no shell is needed


if __name__ == "__main__":
    main()
