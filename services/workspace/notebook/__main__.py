"""The command: reads the notebook, runs it, leaves the result. The exit code is 0 for SUCCESS, 1 for FAILED and
CANCELED, 2 when the notebook can't be run."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from pinline.errors import DataError, PinlineError
from pinline.settings import load
from workspace.notebook import __doc__ as about
from workspace.notebook import document
from workspace.notebook.execution import Execution
from workspace.notebook.journal import Journal, Result, write_result


def run(arguments: argparse.Namespace) -> int:
    """Run the notebook; return the exit code."""
    try:
        settings = load()
        notebook = document.read(arguments.notebook)
        parameters = _parameters(arguments.parameters)
        with Journal(arguments.events, len(notebook.cells)) as journal:
            folder = arguments.notebook.parent
            execution = Execution(settings, notebook, folder, parameters, arguments.output, journal, arguments.parent)
            result = asyncio.run(execution.run())
    except PinlineError as error:
        print(error, file=sys.stderr)
        write_result(Result("FAILED", error=str(error)), arguments.result)
        return 2
    write_result(result, arguments.result)
    return 0 if result.state == "SUCCESS" else 1


def _parameters(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"reading the parameters {file}: {error}") from None
    if not isinstance(found, dict):
        raise DataError(f"reading the parameters {file}: expected a JSON object of strings")
    return {str(name): str(value) for name, value in found.items()}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m workspace.notebook", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebook", type=lambda text: Path(text).resolve(), help="an .ipynb, or a Databricks .py")
    parser.add_argument("--output", type=Path, required=True, help="the executed notebook, written after each cell")
    parser.add_argument("--result", type=Path, required=True, help="how the run ended, as JSON")
    parser.add_argument("--events", type=Path, required=True, help="what happens, a line of JSON each")
    parser.add_argument("--parameters", type=Path, help="a JSON object of strings: the values of widgets")
    parser.add_argument("--parent", type=int, help="end when this process, which started the run, is gone")
    sys.exit(run(parser.parse_args()))


if __name__ == "__main__":
    main()
