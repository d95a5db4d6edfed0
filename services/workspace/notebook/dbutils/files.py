"""`dbutils.fs`: files by the paths that notebooks write (workspace.notebook.paths), all in S3."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from pinline import aws
from pinline.errors import StateError
from pinline.object_store import s3_errors
from pinline.settings import Settings
from workspace.notebook.checkpoints import Checkpoints
from workspace.notebook.paths import Paths, bucket_and_key, has_keys, s3_address

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_DELETED_AT_ONCE = 1000


class FileInfo(NamedTuple):
    """A file or a folder (its name ends with a slash). `modificationTime` is in ms since 1970."""

    path: str
    name: str
    size: int
    modificationTime: int  # noqa: N815  # Databricks' name


class MountInfo(NamedTuple):
    """A mount point."""

    mountPoint: str  # noqa: N815  # Databricks' name
    source: str
    encryptionType: str  # noqa: N815  # Databricks' name


class Files:
    """`dbutils.fs`."""

    def __init__(self, settings: Settings, paths: Paths, checkpoints: Checkpoints) -> None:
        self._settings = settings
        self._paths = paths
        self._checkpoints = checkpoints
        self._client: S3Client | None = None

    def ls(self, dir: str) -> list[FileInfo]:  # noqa: A002  # Databricks' name
        """Return what a folder holds, or the file of that name. Raises StateError when there is neither."""
        if dir.removeprefix("dbfs:").rstrip("/") == "/mnt":
            return [FileInfo(f"dbfs:{point}/", f"{point.rpartition('/')[2]}/", 0, 0) for point in self._mounts()]
        bucket, key = self._place(dir)
        shown = dir.rstrip("/") if dir.startswith(("s3", "dbfs:")) else f"dbfs:{dir.rstrip('/')}"
        prefix = f"{key.rstrip('/')}/" if key else ""
        found = []
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
        with s3_errors(self._settings):
            for page in pages:
                folders = [item["Prefix"].removeprefix(prefix) for item in page.get("CommonPrefixes", [])]
                found += [FileInfo(f"{shown}/{name}", name, 0, 0) for name in folders]
                found += [self._info(shown, prefix, item) for item in page.get("Contents", []) if item["Key"] != prefix]
        if found or self._exists(bucket, prefix):
            return found
        files = [item for item in self._objects(bucket, key) if item["Key"] == key]
        if not files:
            raise StateError(f"java.io.FileNotFoundException: there is no {dir} ({self._paths.resolve(dir)})")
        return [self._info(shown.rpartition("/")[0], key.rpartition("/")[0] + "/", files[0])]

    def head(self, file: str, maxBytes: int = 65536) -> str:
        """Return the first bytes of a file as text."""
        return self._read(file, maxBytes).decode(errors="replace")

    def put(self, file: str, contents: str, overwrite: bool = False) -> bool:
        """Write a text. Raises StateError when the file is there and `overwrite` is not said."""
        bucket, key = self._place(file)
        if not overwrite and any(item["Key"] == key for item in self._objects(bucket, key)):
            raise StateError(
                f"FileAlreadyExistsException: {file} is there already; put(..., overwrite=True) replaces it"
            )
        self._s3.put_object(Bucket=bucket, Key=key, Body=contents.encode())
        print(f"Wrote {len(contents.encode())} bytes.")
        return True

    def mkdirs(self, dir: str) -> bool:  # noqa: A002
        """Make a folder."""
        bucket, key = self._place(dir)
        self._s3.put_object(Bucket=bucket, Key=f"{key.rstrip('/')}/", Body=b"")
        return True

    def rm(self, dir: str, recurse: bool = False) -> bool:  # noqa: A002
        """Remove a file, or a folder with `recurse`. Returns whether there was one."""
        bucket, key = self._place(dir)
        folder = f"{key.rstrip('/')}/"
        inside = [item["Key"] for item in self._objects(bucket, folder)] if key.strip("/") else []
        if inside and inside != [folder] and not recurse:
            raise StateError(f"{dir} is a folder that holds files: rm(..., recurse=True) removes them too")
        keys = [*inside, *([key] if self._is_file(bucket, key) else [])]
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            some = [{"Key": name} for name in keys[start : start + _DELETED_AT_ONCE]]
            self._s3.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True})  # type: ignore[typeddict-item]
        self._checkpoints.forget(self._paths.resolve(dir))
        return bool(keys)

    def cp(self, from_: str, to: str, recurse: bool = False) -> bool:
        """Copy a file, or a folder with `recurse`."""
        bucket, key = self._place(from_)
        target, name = self._place(to)
        if self._is_file(bucket, key):
            if name.endswith("/") or not name:
                name += key.rpartition("/")[2]
            self._s3.copy_object(Bucket=target, Key=name, CopySource={"Bucket": bucket, "Key": key})
            return True
        folder = f"{key.rstrip('/')}/"
        inside = [item["Key"] for item in self._objects(bucket, folder)]
        if not inside:
            raise StateError(f"java.io.FileNotFoundException: there is no {from_} ({self._paths.resolve(from_)})")
        if not recurse:
            raise StateError(f"{from_} is a folder: cp(..., recurse=True) copies what it holds")
        for item in inside:
            copied = f"{name.rstrip('/')}/{item.removeprefix(folder)}"
            self._s3.copy_object(Bucket=target, Key=copied, CopySource={"Bucket": bucket, "Key": item})
        return True

    def mv(self, from_: str, to: str, recurse: bool = False) -> bool:
        """Move a file, or a folder with `recurse`."""
        self.cp(from_, to, recurse)
        return self.rm(from_, recurse)

    def mount(
        self,
        source: str,
        mountPoint: str,
        encryptionType: str = "",
        owner: str | None = None,
        extraConfigs: dict[str, str] | None = None,
    ) -> bool:
        """Mount a bucket, or a folder of it. Raises StateError when it isn't there."""
        address = s3_address(source)
        bucket, key = bucket_and_key(address)
        with s3_errors(self._settings.model_copy(update={"s3_bucket": bucket})):
            self._s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
        self._paths.mounts.add(_point(mountPoint), address.rstrip("/"))
        if has_keys(source) or extraConfigs:
            print("note: the keys given to mount are not used or kept: S3 is read with those of the settings")
        return True

    def unmount(self, mountPoint: str) -> bool:
        """Undo a mount."""
        self._paths.mounts.remove(_point(mountPoint))
        print(f"{mountPoint} has been unmounted.")
        return True

    def mounts(self) -> list[MountInfo]:
        """Return the mount points."""
        return [MountInfo(point, source, "") for point, source in self._mounts().items()]

    def refreshMounts(self) -> bool:
        """Do nothing: mounts are always those of now."""
        return True

    @property
    def _s3(self) -> "S3Client":
        if self._client is None:
            self._client = aws.s3_client(self._settings)
        return self._client

    def _mounts(self) -> dict[str, str]:
        return self._paths.mounts.read()

    def _place(self, path: str) -> tuple[str, str]:
        return bucket_and_key(self._paths.resolve(path))

    def _objects(self, bucket: str, prefix: str) -> Iterator[Any]:
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from page.get("Contents", [])

    def _is_file(self, bucket: str, key: str) -> bool:
        found = self._s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents", [])
        return any(item["Key"] == key for item in found)

    def _exists(self, bucket: str, prefix: str) -> bool:
        return self._s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)["KeyCount"] > 0

    def _info(self, shown: str, prefix: str, item: Any) -> FileInfo:
        name = item["Key"].removeprefix(prefix)
        return FileInfo(f"{shown}/{name}", name, item["Size"], int(item["LastModified"].timestamp() * 1000))

    def _read(self, file: str, size: int) -> bytes:
        bucket, key = self._place(file)
        if not self._is_file(bucket, key):
            raise StateError(f"java.io.FileNotFoundException: there is no {file} ({self._paths.resolve(file)})")
        return self._s3.get_object(Bucket=bucket, Key=key)["Body"].read(size)


def _point(path: str) -> str:
    point = "/" + path.removeprefix("dbfs:").strip("/")
    if not point.startswith("/mnt/"):
        raise StateError(f"mounting at {path}: a mount point is /mnt/<name> here")
    return point
