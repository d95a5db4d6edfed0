"""One run at a time: a run holds the lease, an object in S3 that is only ever replaced by conditional PUT.

The object names the run that holds it and the silver versions that its questions read; a run that lost the lease has
lost them too and asks anew. Time is S3's clock. A lease is free when it was released, when it has expired, and when the
process that held it is known to be dead. Each run that ended is a row of `ops.run`.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from lakehouse import fault
from lakehouse.tables import Lake
from pinline.errors import StateError
from pinline.events import EVENTS, EventName

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import PutObjectRequestTypeDef

KEY = "lake/ops/lease.json"
SECONDS = 120
_POLL_SECONDS = 1.0
_REFUSED = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
Versions = dict[EventName, int]
"""A silver version for each event."""

Tell = Callable[[str], None]


def new_run(kind: str) -> str:
    """Return an id for a run that no other has."""
    return f"{kind}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:6]}"


class Process(BaseModel):
    """Where a run works."""

    host: str
    pid: int

    @classmethod
    def this(cls) -> "Process":
        """Return this process."""
        return cls(host=socket.gethostname(), pid=os.getpid())

    def is_dead(self) -> bool:
        """Whether it is known to have ended; of another host nothing is known."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False


class Held(BaseModel):
    """What the object says."""

    run: str
    state: Literal["running", "done", "failed", "nothing new"]
    started_at: datetime
    expires_at: datetime
    process: Process | None = None
    """The one process of the run; None if its steps are processes of their own."""
    versions: Versions | None = None

    def is_free(self, now: datetime) -> bool:
        """Whether another run may take the lease."""
        return self.state != "running" or self.expires_at <= now or bool(self.process and self.process.is_dead())


@dataclass
class Lease:
    """The right to write the lake, as `run`. As a context it is renewed meanwhile.

    `process` is given when the whole run is one process: if that dies, the next run needn't wait for the expiry.
    """

    lake: Lake
    run: str
    seconds: int = SECONDS
    process: Process | None = None
    replaced: str | None = None
    """What `tag` was when this run took the lease."""
    _ended: threading.Event = field(default_factory=threading.Event)
    _renewal: threading.Thread | None = None
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def tag(self) -> str | None:
        """Return the ETag of the lease as it is: another one later means that a run was at work since. None: no run."""
        return self._get()[1]

    def acquire(self, *, wait_seconds: float, tell: Tell) -> bool:
        """Take the lease, or go on with it if the run has it. Returns whether another run was waited for.

        Raises StateError that names the holder after `wait_seconds`.
        """
        deadline = time.monotonic() + wait_seconds
        waited = False
        while (holder := self._claim()).run != self.run:
            if time.monotonic() > deadline:
                raise StateError(
                    f"run {holder.run} is at work since {holder.started_at:%H:%M:%S} UTC, its lease lasts until "
                    f"{holder.expires_at:%H:%M:%S} UTC. Try again when it has ended."
                )
            if not waited:
                tell(f"waiting for run {holder.run}, at work since {holder.started_at:%H:%M:%S} UTC")
            waited = True
            self._ended.wait(_POLL_SECONDS)
        fault.after(self.lake.settings, "lease")
        return waited

    def __enter__(self) -> "Lease":
        self._renewal = threading.Thread(target=self._renew, daemon=True)
        self._renewal.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        if self._renewal:
            self._renewal.join()

    def pin(self, versions: Versions) -> None:
        """Write the silver versions that the run's questions read."""
        self._change(versions=versions)
        fault.after(self.lake.settings, "pin")

    def pinned(self) -> Versions:
        """Return what `pin` wrote. Raises StateError if the run has lost its lease since, or never asked."""
        held, _, _ = self._get()
        if held is None or held.run != self.run or held.state != "running" or held.versions is None:
            raise StateError(f"run {self.run} has no pinned silver versions: its questions come first. Try: make batch")
        return held.versions

    def release(self, state: Literal["done", "failed", "nothing new"], note: str = "") -> None:
        """End the run, and write its row of `ops.run`."""
        held = self._change(state=state)
        fault.after(self.lake.settings, "release")
        if held is not None:
            self._record(held, state, note)

    def _record(self, held: Held, state: str, note: str = "") -> None:
        versions = [held.versions and held.versions[event.name] for event in EVENTS]
        columns = ", ".join(f"{event.name}_version bigint" for event in EVENTS)
        self.lake.append(
            "ops.run",
            [(held.run, state, held.started_at, *versions, note)],
            f"run string, state string, started_at timestamp, {columns}, note string",
            "ended_at",
        )

    def _claim(self) -> Held:
        """Renew the lease or take a free one. Returns what is held then, by this run or another."""
        while True:
            held, tag, now = self._get()
            expires_at = now + timedelta(seconds=self.seconds)
            if held is not None and held.run == self.run and held.state == "running":
                mine = held.model_copy(update={"expires_at": expires_at})
            elif held is None or held.is_free(now):
                mine = Held(run=self.run, state="running", started_at=now, expires_at=expires_at, process=self.process)
            else:
                return held
            if self._put(mine, tag):
                self.replaced = tag
                if held is not None and held.run != self.run and held.state == "running":
                    self._record(held, "lost")
                return mine

    def _change(self, **changes: object) -> Held | None:
        """Replace the lease by itself with `changes`, as long as this run holds it; None if it doesn't any more."""
        changed: Held | None = None
        with self._writing:
            while True:
                held, tag, _ = self._get()
                if held is not None and held == changed:
                    return held  # a PUT that was sent twice: the first one had succeeded
                if held is None or held.run != self.run or held.state != "running":
                    return None
                changed = held.model_copy(update=changes)
                if self._put(changed, tag):
                    return changed

    def _renew(self) -> None:
        while not self._ended.wait(self.seconds / 3):
            with suppress(ClientError, BotoCoreError):  # there are two more times until it expires
                _, _, now = self._get()
                self._change(expires_at=now + timedelta(seconds=self.seconds))

    def _get(self) -> tuple[Held | None, str | None, datetime]:
        """Return what the object says, its ETag and S3's time; None and None if there is none."""
        try:
            found = self.lake.s3.get_object(Bucket=self.lake.settings.bucket, Key=KEY)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None, None, _server_time(error.response["ResponseMetadata"]["HTTPHeaders"])
        held = Held.model_validate_json(found["Body"].read())
        return held, found["ETag"], _server_time(found["ResponseMetadata"]["HTTPHeaders"])

    def _put(self, held: Held, tag: str | None) -> bool:
        """Replace the version `tag` (None: there is none yet); False if there is another by now."""
        request: PutObjectRequestTypeDef = {
            "Bucket": self.lake.settings.bucket,
            "Key": KEY,
            "Body": held.model_dump_json().encode(),
            "ContentType": "application/json",
        }
        if tag is None:
            request["IfNoneMatch"] = "*"
        else:
            request["IfMatch"] = tag
        try:
            self.lake.s3.put_object(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] in _REFUSED:
                return False
            raise
        return True


def _server_time(headers: dict[str, str]) -> datetime:
    return parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
