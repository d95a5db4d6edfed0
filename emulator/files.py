"""Files that survive a kill: written whole or appended by lines, and one process at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from pinline.errors import StateError


def overwrite(path: Path, data: bytes) -> None:
    """Give `path` new content by one write, padded with spaces to its old length. For the death of this process only.

    That leaves the file whole, and takes microseconds; a rename over a file makes ext4 wait for the disk. After a power
    failure the content may be anything: the reader has to check it.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.pwrite(descriptor, data.ljust(os.fstat(descriptor).st_size), 0)
    finally:
        os.close(descriptor)


def replace(path: Path, data: bytes) -> None:
    """Give `path` new content in one step, on the disk when this returns: a reader sees the old one or the new one."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_folder(path.parent)


def append_lines(path: Path, lines: bytes) -> None:
    """Append whole lines and wait until they are on the disk. A torn last line is ended first: it spoils no other."""
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                lines = b"\n" + lines
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process. Raises StateError that names the process which has it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise StateError(
                f"another emulator (process {file.read().strip() or 'unknown'}) is working in {folder}, and two would "
                "mix up their positions. Wait for its end or stop it; for a second one set another PINLINE_DATA."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
