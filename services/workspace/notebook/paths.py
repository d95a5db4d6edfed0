"""Paths as notebooks write them, and where they are here: the one place that knows.

`/mnt/<name>/x` is in the mount's bucket; `s3n://`, `s3://` and `s3a://` are `s3a://`, and keys in an address are
ignored (the settings' are used); any other path of Databricks' file system, `dbfs:/x` or `/x`, is under `dbfs/` of the
pipeline's bucket. `file:/x` and other schemes stay as they are.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from pinline.errors import StateError
from pinline.settings import Settings

_S3 = re.compile(r"^s3[an]?://(?:[^/@]*@)?", re.I)
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")
_PATHS = r"(?:/|dbfs:/|s3[an]?://)[^'\"`]*"
_AFTER_WORD = re.compile(rf"\b(LOCATION|INPATH|DIRECTORY|FROM|PATH)(\s*=?\s*)(['\"])({_PATHS})\3", re.I)
_IN_FORMAT = re.compile(rf"\b(\w+)\.`({_PATHS})`")
_ROOT = "dbfs"


@dataclass(frozen=True)
class Mounts:
    """The mount points of this workspace, each with its address in S3; kept in a file."""

    file: Path

    def read(self) -> dict[str, str]:
        """Return the address of each mount point."""
        try:
            found: dict[str, str] = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    def add(self, point: str, source: str) -> None:
        """Add a mount point. Raises StateError when it is one already."""
        mounts = self.read()
        if point in mounts:
            raise StateError(
                f"Directory already mounted: {point} is {mounts[point]}. Unmount it first: "
                f'dbutils.fs.unmount("{point}")'
            )
        self._write({**mounts, point: source})

    def remove(self, point: str) -> None:
        """Remove a mount point. Raises StateError when it is none."""
        mounts = self.read()
        if point not in mounts:
            raise StateError(f"Directory not mounted: {point}; mounted are: {', '.join(mounts) or 'none'}")
        del mounts[point]
        self._write(mounts)

    def _write(self, mounts: dict[str, str]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_name(f"{self.file.name}.part")
        part.write_text(json.dumps(mounts, indent=2), encoding="utf-8")
        part.replace(self.file)


@dataclass(frozen=True)
class Paths:
    """The rewriting, for one pipeline's bucket and one workspace's mounts."""

    bucket: str
    mounts: Mounts

    def resolve(self, path: str) -> str:
        """Return where a path is here. Raises StateError for a `/mnt/...` that isn't mounted."""
        if _S3.match(path):
            return s3_address(path)
        inside = path[len("dbfs:") :] if path.startswith("dbfs:") else path
        if _SCHEME.match(inside):
            return path
        inside = re.sub("/+", "/", f"/{inside}")
        mounts = self.mounts.read()
        for point in sorted(mounts, key=len, reverse=True):
            if f"{inside}/".startswith(f"{point}/"):
                return mounts[point].rstrip("/") + inside[len(point) :]
        if inside.startswith("/mnt/"):
            raise StateError(
                f"{path}: nothing is mounted there; mounted are: {', '.join(mounts) or 'none'}. "
                f'Try: dbutils.fs.mount("s3a://{self.bucket}", "{"/".join(inside.split("/")[:3])}")'
            )
        return f"s3a://{self.bucket}/{_ROOT}{inside}"

    def in_sql(self, query: str) -> str:
        """Return SQL whose path literals (``delta.`/mnt/x` ``, `LOCATION '...'`, `INPATH '...'`) are resolved."""
        query = _AFTER_WORD.sub(lambda m: f"{m[1]}{m[2]}{m[3]}{self.resolve(m[4])}{m[3]}", query)
        return _IN_FORMAT.sub(lambda m: f"{m[1]}.`{self.resolve(m[2])}`", query)


def of_workspace(settings: Settings) -> Paths:
    """Return the paths of this workspace; its mounts are kept under PINLINE_DATA."""
    return Paths(settings.bucket, Mounts(settings.pinline_data / "workspace" / "mounts.json"))


def s3_address(path: str) -> str:
    """Return an address in S3 as Spark takes it, without keys."""
    return _S3.sub("s3a://", path)


def has_keys(path: str) -> bool:
    """Whether an address in S3 holds an access key."""
    return bool(re.match(r"^s3[an]?://[^/@]*@", path, re.I))


def bucket_and_key(address: str) -> tuple[str, str]:
    """Return bucket and key of an `s3a://` address. Raises StateError for another scheme."""
    if not address.startswith("s3a://"):
        raise StateError(f"{address}: dbutils.fs works with S3 here: /mnt/..., dbfs:/..., s3://...")
    bucket, _, key = address.removeprefix("s3a://").partition("/")
    return bucket, key
