#!/bin/sh
# Finds a Python, then setup.py brings the rest. Options: --dev (what tests need), --notebooks (JupyterLab), --python PROGRAM.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

for program in ${PYTHON:-} "$here/../../.venv/bin/python" python3.11 python3.12 python3.13 python3 python; do
    if "$program" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1; then
        exec "$program" "$here/setup.py" "$@"
    fi
done
echo "error: no Python 3.11, 3.12 or 3.13 found (looked at \$PYTHON, and python3.11 to python3.13, python3, python on PATH)." >&2
echo "Install one, such as: apt-get install python3.11 python3.11-venv; or name it: PYTHON=/path/to/python3.12 make setup" >&2
exit 1
