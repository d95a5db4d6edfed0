"""What LocalStack has forgotten since the stack ran last, and what is done about it.

Its free edition keeps neither objects nor streams when it is started anew. Kafka has all that S3 had of the events: the
sink writes it again by itself, and silver and gold are made anew from that. What Kinesis held is gone with LocalStack's
streams; with KINESIS=own it is in Kafka.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from containers.engine import Inspected
from pinline import aws, kafka_log, ledger
from pinline.errors import PinlineError, StateError
from pinline.events import streams, topics
from pinline.settings import ROOT, Settings
from pinline.waiting import wait_for_s3

_KEEPS_NOTHING = "localstack/"
_READERS = ("spark", "stream")
"""They hold what they know of S3's tables in memory."""
_SINK_SECONDS = 600.0
_SAID_EVERY = 5.0


@dataclass(frozen=True)
class Facts:
    """What was found when the stack had come up."""

    older_records: int
    """Records of the events' topics that are older than the bucket."""
    has_answers: bool
    """Whether gold and silver hold tables that can be read."""
    streamed: int
    """Records that Kinesis acknowledged before its streams were made."""
    other_streams: tuple[str, ...]
    """Streams that the streaming job's checkpoint knows as others than they are."""
    has_own_kinesis: bool
    """Whether Kinesis is the service that keeps its records."""


@dataclass(frozen=True)
class Plan:
    """What to say, and whether the lake is to be made anew."""

    lines: tuple[str, ...]
    makes_lake: bool


def decide(facts: Facts) -> Plan:
    """Return what is done about what was forgotten."""
    makes_lake = facts.older_records > 0 and not facts.has_answers
    lines = []
    if makes_lake:
        lines.append(
            "S3 has forgotten what it held, as LocalStack does when it is started anew. Kafka holds "
            f"{facts.older_records:,} records of then: the sink writes them again, and silver and gold are made anew"
        )
    if facts.streamed and facts.has_own_kinesis:
        lines.append(
            f"{facts.streamed:,} records that Kinesis acknowledged are not in this Kinesis service, whose streams are "
            "newer (KINESIS was another before?); accounting names them"
        )
    elif facts.streamed:
        lines.append(
            f"Kinesis has forgotten {facts.streamed:,} records that it had acknowledged, as LocalStack does when it is "
            "started anew; accounting names them. KINESIS=own in .env keeps what comes"
        )
    if facts.other_streams:
        lines.append(
            f"the streaming job's checkpoint is of streams that are no more ({', '.join(facts.other_streams)}); its "
            "tables are whole. Next: make stream-reset, and it reads what the new streams hold"
        )
    return Plan(tuple(lines), makes_lake)


def recover(settings: Settings, services: Iterable[str], say: Callable[[str], None]) -> None:
    """Find out what was forgotten, say it, and do what can be done. Raises PinlineError if that fails."""
    plan = decide(look(settings, frozenset(services)))
    for line in plan.lines:
        say(line)
    if not plan.makes_lake:
        return
    wait_for_s3(settings, _SINK_SECONDS, _seldom(lambda text: say(f"  S3: {text}")))
    say("  S3: all of Kafka is there again. The batch:")
    code = subprocess.run([sys.executable, "-m", "lakehouse.batch"], cwd=ROOT, check=False).returncode
    if code:
        raise PinlineError(f"the stack is up; making silver and gold anew failed (exit code {code}). Try: make batch")


def _seldom(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return what says one text in five seconds."""
    last = [time.monotonic()]

    def tell(text: str) -> None:
        if time.monotonic() - last[0] >= _SAID_EVERY:
            last[0] = time.monotonic()
            say(text)

    return tell


def look(settings: Settings, services: frozenset[str]) -> Facts:
    """Find the facts; of S3 and Kinesis only where this stack has them."""
    older, answers, streamed, others = 0, False, 0, tuple[str, ...]()
    if "s3" in services:
        older = _older_records(settings, _bucket_made(settings))
        answers = _has_answers(settings)
    if services & {"kinesis", "kinesis-localstack"}:
        made = _streams_made(settings)
        streamed = _streamed_before(settings, min(made.values(), default=None))
        known = _checkpoint(settings)
        others = tuple(name for name, moment in made.items() if known.get(name) not in (None, _ms(moment)))
    return Facts(older, answers, streamed, others, has_own_kinesis="kinesis" in services)


def with_an_older_view(found: Iterable[Inspected]) -> list[str]:
    """Return the services that have run since before S3 was started anew, and hold in memory what it has forgotten."""
    started = {one.service: one for one in found if one.started_at}
    s3 = started.get("s3")
    if s3 is None or s3.started_at is None or not s3.image.startswith(_KEEPS_NOTHING):
        return []
    return [name for name in _READERS if name in started and _before(started[name].started_at, s3.started_at)]


def _before(one: datetime | None, other: datetime) -> bool:
    return one is not None and one < other


def _bucket_made(settings: Settings) -> datetime | None:
    buckets = aws.s3_client(settings).list_buckets()["Buckets"]
    return next((bucket["CreationDate"] for bucket in buckets if bucket["Name"] == settings.bucket), None)


def _older_records(settings: Settings, moment: datetime | None) -> int:
    """Count the records of the events' topics that were written before `moment`."""
    if moment is None:
        return 0
    count = 0
    with kafka_log.connect(settings) as consumer:
        for topic in topics(settings.user_id):
            held = kafka_log.ranges(consumer, topic)
            for partition, first in kafka_log.offsets_at(consumer, topic, _ms(moment)).items():
                count += max(0, min(first, held[partition].stop) - held[partition].start)
    return count


def _streams_made(settings: Settings) -> dict[str, datetime]:
    client = aws.kinesis_client(settings)
    with aws.kinesis_errors(settings):
        return {
            name: client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamCreationTimestamp"]
            for name in streams(settings.user_id)
        }


def _streamed_before(settings: Settings, moment: datetime | None) -> int:
    """Count Kinesis's acknowledgements, if the last of all acknowledgements was before `moment`."""
    file = settings.emulator_dir / ledger.FILE_NAME
    if moment is None or not file.exists() or file.stat().st_mtime >= moment.timestamp():
        return 0
    return len({(e.event, e.partition, e.position) for e in ledger.read(file) if e.destination == "kinesis"})


def _checkpoint(settings: Settings) -> Mapping[str, int]:
    from lakehouse.stream import checkpoint  # the lake's package isn't in every image

    try:
        return checkpoint.streams_made(aws.s3_client(settings), settings)
    except StateError:  # it is damaged, and the streaming job says so
        return {}


def _has_answers(settings: Settings) -> bool:
    """Tell whether there are silver and gold, none of them without its beginning."""
    from lakehouse.logs import Log, found

    client = aws.s3_client(settings)
    each = [set(found(client, settings, schema).values()) for schema in ("silver", "gold")]
    return all(logs == {Log.WHOLE} for logs in each)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
