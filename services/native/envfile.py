"""The `.env` of the local stack: made from `.env.example` with generated passwords; what is set is never changed."""

import difflib
import os
import re
import secrets
from pathlib import Path

from dotenv import dotenv_values

from pinline.settings import ROOT, Settings

EXAMPLE = ROOT / ".env.example"
_ASSIGNMENT = re.compile(r"^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)$")
_SECRETS = {"PASSWORD": 18, "SECRET_ACCESS_KEY": 18, "DATABRICKS_TOKEN": 18, "JWT_SECRET": 48}
"""How the names of generated values end, each with a value's random bytes."""
_KEYS_OF_AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_COMPOSE = {"COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME", "COMPOSE_FILE"}
"""Docker Compose reads these from the same file."""


def ensure(file: Path, example: Path = EXAMPLE) -> list[str]:
    """Make `file`, or add to it the keys that `example` has and it lacks.

    Returns the added keys, all of them when the file is new. Mode 600. An empty password of a file that points at a
    local S3 is filled in. A key that stands in the file, or in a comment of its own (`# KEY=`), is left alone: that is
    how a setting is unset on purpose.
    """
    if not file.exists():
        _write(file, _with_secrets(example.read_text()))
        return _keys(example.read_text())
    before = file.read_text()
    text = _with_secrets(before) if dotenv_values(file, interpolate=False).get("AWS_ENDPOINT_URL_S3") else before
    present = set(_keys(text)) | set(_keys(re.sub(r"^\s*#\s*", "", text, flags=re.M)))
    added = [key for key in _keys(example.read_text()) if key not in present and _is_safe_to_add(key, present)]
    if added:
        defaults = dotenv_values(example, interpolate=False)
        lines = [_with_secrets(f"{key}={defaults[key] or ''}\n") for key in added]
        text = text.rstrip("\n") + "\n\n# added: new since this file was made\n" + "".join(lines)
    if text != before:
        _write(file, text)
    return added


def unknown_keys(file: Path) -> dict[str, str | None]:
    """Return the keys of `file` that no setting has, each with the setting that was probably meant."""
    known = sorted({*(name.upper() for name in Settings.model_fields), *_COMPOSE})
    return {
        key: next(iter(difflib.get_close_matches(key.upper(), known, 1, 0.75)), None)
        for key in dotenv_values(file, interpolate=False)
        if key.upper() not in known
    }


def _is_safe_to_add(key: str, present: set[str]) -> bool:
    """Tell whether the pipeline points where it did: an endpoint that was deleted means AWS, and there keys that were
    deleted mean boto3's own chain."""
    if "USER_ID" not in present:
        return True
    is_of_aws = key in _KEYS_OF_AWS and "AWS_ENDPOINT_URL_S3" not in present
    return not (key.startswith("AWS_ENDPOINT_URL") or is_of_aws)


def _keys(text: str) -> list[str]:
    return [match[1] for line in text.splitlines() if (match := _ASSIGNMENT.match(line))]


def _with_secrets(text: str) -> str:
    lines = []
    for line in text.splitlines():
        match = _ASSIGNMENT.match(line)
        key = match[1] if match and not match[2].strip() else ""
        size = next((size for ending, size in _SECRETS.items() if key.endswith(ending)), 0)
        lines.append(line + secrets.token_urlsafe(size) if size else line)
    return "\n".join(lines) + "\n"


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    part.replace(file)
