"""Look what there is to do; nothing is written. Started alone, it also takes the run's lease if there is something.

Its last line is then `nothing new`, or what is.
"""

from dataclasses import dataclass

from lakehouse import bronze, progress, published
from lakehouse.lease import Lease, Versions
from lakehouse.step import run_alone
from lakehouse.tables import Lake
from pinline.events import EVENTS, EventName

_ROW_BYTES = 350
"""A record's share of the three events' objects; measured, and good for a guess only."""


@dataclass(frozen=True)
class Work:
    """What a batch would have to do."""

    new_objects: dict[EventName, int]
    new_bytes: int
    answers_are_current: bool

    @property
    def is_none(self) -> bool:
        """Whether nothing is new."""
        return not any(self.new_objects.values()) and self.answers_are_current

    @property
    def new_rows(self) -> int:
        """About how many rows are new."""
        return self.new_bytes // _ROW_BYTES

    def __str__(self) -> str:
        if self.is_none:
            return "nothing new"
        if not any(self.new_objects.values()):
            return "no new object, but the answers are older than silver"
        return "new objects: " + ", ".join(f"{name} {count:,}" for name, count in self.new_objects.items())


def look(lake: Lake) -> Work:
    """Compare S3 with `ops.progress`, and silver's versions with `ops.published`."""
    last = progress.look(lake).last_objects
    new = {e.name: list(bronze.new_objects(lake.s3, lake.settings, e, last[e.name])) for e in EVENTS}
    versions: Versions = published.last_changes(lake)
    return Work(
        {name: len(objects) for name, objects in new.items()},
        sum(item.size for objects in new.values() for item in objects),
        published.published(lake).are_of(versions),
    )


def main() -> None:
    """Run the step alone."""

    def work(lake: Lake, lease: Lease, _options: object) -> Work:
        found = look(lake)
        if found.is_none:
            lease.release("nothing new")
        return found

    run_alone(__doc__, work)


if __name__ == "__main__":
    main()
