"""Which query a checkpoint belongs to: two that share one lose or repeat data, and Spark doesn't say why."""

import json
from dataclasses import dataclass
from pathlib import Path

from pinline.errors import StateError


@dataclass(frozen=True)
class Checkpoints:
    """The places of checkpoints, each with what its query writes to; kept in a file of this workspace."""

    file: Path

    def claim(self, place: str, target: str) -> None:
        """Note that the checkpoint at `place` is of the query that writes to `target`. Raises StateError when it
        belongs to another one."""
        owners = self._read()
        owner = owners.setdefault(place, target)
        if owner != target:
            raise StateError(
                f"the checkpoint {place} belongs to the query that writes to {owner}; the one that writes to {target} "
                "needs its own: a checkpoint holds how far one query has read, and a second query would go on from "
                f'there. Give each its own checkpointLocation, such as "/tmp/kinesis/{target}_checkpoints/"; '
                "to begin anew, remove the old one: dbutils.fs.rm(path, True)"
            )
        self._write(owners)

    def forget(self, folder: str) -> None:
        """Forget the checkpoints in a folder that is removed."""
        inside = folder.rstrip("/") + "/"
        self._write({place: owner for place, owner in self._read().items() if not f"{place}/".startswith(inside)})

    def _read(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    def _write(self, owners: dict[str, str]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_name(f"{self.file.name}.part")
        part.write_text(json.dumps(owners, indent=2), encoding="utf-8")
        part.replace(self.file)
