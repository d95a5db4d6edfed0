"""How a batch gets to Spark's tasks: small ones within the partition, large ones as a file on this machine.

A task that doesn't find the file (on another machine, or after a restart) fetches the range from Kinesis: same rows.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyspark.sql.datasource import InputPartition

from pyspark_kinesis.offsets import Range
from pyspark_kinesis.rows import Chunk, pack

INLINE_BYTES = 256 * 1024
_PREFIX = "pyspark-kinesis"


@dataclass(frozen=True)
class Slice:
    """A range and where its records are: `inline`, in the file `path`, or only in Kinesis."""

    wanted: Range
    inline: bytes | None = None
    path: str | None = None


@dataclass
class KinesisPartition(InputPartition):
    """What one task reads: whole ranges, so a shard's records stay in order."""

    slices: list[Slice]


class Spool:
    """The files of one reader, in a folder that tells whose it is."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._files: list[Path] = []

    def partitions(self, found: Iterable[tuple[Range, list[Chunk] | None]]) -> list[KinesisPartition]:
        """Return the partitions of a batch. Small ranges share one, a large one or an absent one has its own."""
        partitions: list[KinesisPartition] = []
        shared, size = KinesisPartition([]), 0
        for wanted, chunks in found:
            if chunks is None:
                partitions.append(KinesisPartition([Slice(wanted)]))
                continue
            packed = pack(chunks)
            if packed.size > INLINE_BYTES:
                partitions.append(KinesisPartition([Slice(wanted, path=str(self._write(packed)))]))
                continue
            if size + packed.size > INLINE_BYTES:
                shared, size = KinesisPartition([]), 0
            if not shared.slices:
                partitions.append(shared)
            shared.slices.append(Slice(wanted, inline=packed.to_pybytes()))
            size += packed.size
        return partitions

    def drop(self) -> None:
        """Delete the files: their batches are committed."""
        for path in self._files:
            path.unlink(missing_ok=True)
        self._files.clear()

    def close(self) -> None:
        """Delete the folder."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, packed: pa.Buffer) -> Path:
        if self._folder is None:
            _clear_of_the_dead()
            self._folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}-{os.getpid()}-"))
        path = self._folder / f"{uuid.uuid4().hex}.arrows"
        path.write_bytes(memoryview(packed))
        self._files.append(path)
        return path


def _clear_of_the_dead() -> None:
    """Delete the folders of processes of this user that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}-*-*"):
        pid = folder.name.removeprefix(f"{_PREFIX}-").partition("-")[0]
        if pid.isdigit() and folder.stat().st_uid == os.getuid() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
