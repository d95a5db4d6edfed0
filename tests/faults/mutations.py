"""`make mutations [ONLY=text]`: break each mechanism in a copy of the code, and see its test fail.

A test that passes on the broken code tests nothing: its line says so, and the exit code is 1. Each mutation takes as
long as its test, some a minute; ONLY picks those whose name or test has the text.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from pinline.settings import ROOT

_COPIED = ("pinline", "seed_data", "emulator", "services", "spark", "tests", "pyproject.toml", ".env.example")
_SINK = "tests/faults/test_sink_deaths.py"
_LOG = "tests/faults/test_sink_log_and_bucket.py"
_EMULATOR = "tests/faults/test_emulator.py"
_GATEWAY = "tests/faults/test_gateway.py"
_LAKE = "tests/integration/test_lake_faults.py"
_FORGOTTEN = "tests/integration/test_lake_forgotten.py"
_STREAM_FORGOTTEN = "tests/integration/test_stream.py -k 'events_become or forgotten'"
_VERDICTS = "tests/unit/test_stream_verdicts.py"
_STREAM_PROCESS = "tests/unit/test_stream_process.py"
_SOURCE = "tests/contract/test_kinesis_source_reader.py"
_NO_PROBE = ("services/sink/store.py", '    key = f"_pinline/probe-{uuid4()}"\n', "    return\n")
_NO_CHECK = (
    "services/sink/partition.py",
    "            if self._anchor and (self._must_check or now - self._checked_at > CHECK_EVERY_S):",
    "            if False:",
)


@dataclass(frozen=True)
class Mutation:
    """A mechanism taken away: edits of (file, text, its replacement), and the tests (arguments of pytest) that fail."""

    name: str
    edits: tuple[tuple[str, str, str], ...]
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        "sink: no condition on PUT",
        (("services/sink/store.py", '                IfNoneMatch="*",\n', ""), _NO_PROBE),
        (f"{_SINK} -k two_owners", f"{_SINK} -k late_put"),
    ),
    Mutation(
        "sink: 412 taken for a success",
        (
            (
                "services/sink/partition.py",
                "                case Put(), _:\n                    self._conflict = True",
                "                case Put(), _:\n                    self._finish(now)",
            ),
        ),
        (
            f"{_SINK} -k two_owners",
            f"{_SINK} -k in_its_sleep",
            "tests/unit/test_sink_partition.py -k two_owners_in_any_order",
        ),
    ),
    Mutation(
        "sink: begins at the log's start instead of the last object's end",
        (
            (
                "services/sink/partition.py",
                "        last = found.last\n        if last is None:",
                "        last = found.last\n        if True:",
            ),
        ),
        (f"{_SINK} -k between_put_and_the_next_step", f"{_SINK} -k at_any_moment"),
    ),
    Mutation(
        # alone it is healed: the check finds that the object before the next one isn't there
        "sink: error taken for a success, and the previous object is never checked",
        (
            _NO_CHECK,
            (
                "services/sink/partition.py",
                "            if isinstance(answer, StoreError | DeadLetterError | LogError):\n",
                (
                    "            if isinstance(answer, StoreError) and isinstance(action, Put):\n"
                    "                self._finish(now)\n"
                    "                return\n"
                    "            if isinstance(answer, StoreError | DeadLetterError | LogError):\n"
                ),
            ),
        ),
        (f"{_SINK} -k 409", f"{_SINK} -k away"),
    ),
    Mutation(
        "sink: stops at a 412 of its own PUT",
        (
            (
                "services/sink/partition.py",
                "        if end == self._batch.last_offset:",
                (
                    "        if end == self._batch.last_offset:\n"
                    "            self.stop('written already')\n"
                    "            return\n"
                    "        if end == self._batch.last_offset:"
                ),
            ),
        ),
        (f"{_SINK} -k put_without_an_answer",),
    ),
    Mutation("sink: no probe", (_NO_PROBE,), (f"{_SINK} -k ignores_if_none_match",)),
    Mutation(
        "sink: the previous object is never checked",
        (_NO_CHECK,),
        (f"{_LOG} -k runs_idle", f"{_LOG} -k emptied_under_load", f"{_LOG} -k made_again_while"),
    ),
    Mutation(
        "sink: topic ids are not compared",
        (
            (
                "services/sink/partition.py",
                "        if there is not None and there.topic_id == self.topic_id:",
                "        if there is not None:",
            ),
            ("services/sink/worker.py", "            if now != writer.topic_id:", "            if False:"),
        ),
        (f"{_LOG} -k recreated_topic",),
    ),
    Mutation(
        "sink: a position outside the log begins at the earliest",
        (("services/sink/__main__.py", '"auto_offset_reset": "none"', '"auto_offset_reset": "earliest"'),),
        (f"{_LOG} -k no_longer_has",),
    ),
    Mutation(
        "sink: begins some offsets after the last object's end",
        (
            (
                "services/sink/partition.py",
                "        self._start(end + 1, last.key, None, now)",
                "        self._start(end + 1 + 5, last.key, None, now)",
            ),
        ),
        (f"{_LOG} -k deleted_group_offsets",),
    ),
    Mutation(
        "sink: an empty bucket is filled from a group's offset on, not from the log's start",
        (
            (
                "services/sink/partition.py",
                "            self._start(found.log_start, None, None, now)",
                "            self._start(found.log_start + 40, None, None, now)",
            ),
        ),
        (f"{_LOG} -k while_the_sink_is_stopped",),
    ),
    Mutation(
        "sink: an object is put before its dead letters are sent",
        (
            (
                "services/sink/partition.py",
                "            if self._batch.dead_letters and not self._letters_sent:",
                "            if self._batch.dead_letters and self._batch.key is None and not self._letters_sent:",
            ),
        ),
        (f"{_LOG} -k poison_first",),
    ),
    Mutation(
        "emulator: 429 is a refusal",
        (
            (
                "emulator/target.py",
                "    if status in (408, 429) or status >= 500:",
                "    if status == 408 or status >= 500:",
            ),
        ),
        (f"{_EMULATOR} -k 429",),
    ),
    Mutation(
        "emulator: Retry-After holds back only the request that was told",
        (("emulator/delivery.py", "        hold = self._not_before - time.monotonic()", "        hold = 0.0"),),
        ("tests/unit/test_emulator_delivery.py -k retry_after_holds_back",),
    ),
    Mutation(
        "emulator: the whole batch is sent again",
        (
            (
                "emulator/delivery.py",
                "        if len(unsent) < len(records):\n",
                (
                    "        if unsent:\n"
                    "            unsent = [Unsent(record, unsent[0].failed) for record in records]\n"
                    "        if len(unsent) < len(records):\n"
                ),
            ),
        ),
        (f"{_EMULATOR} -k 'record and errors'",),
    ),
    Mutation(
        "emulator: one attempt when a connection is cut",
        (
            (
                "emulator/delivery.py",
                "            return [Failed(_kind(error))] * len(records)",
                "            return [Failed(_kind(error), attempts=1)] * len(records)",
            ),
        ),
        (f"{_EMULATOR} -k 'cut or comes_back'",),
    ),
    Mutation(
        "emulator: nothing is added to the spool",
        (
            (
                "emulator/engine.py",
                "        self._figures.spooled += self._store.spool.add(unsent)",
                "        self._figures.spooled += 0",
            ),
        ),
        (f"{_EMULATOR} -k spooled",),
    ),
    Mutation(
        "emulator: the position is saved before the answer",
        (
            (
                "emulator/engine.py",
                "        started = time.monotonic()\n        unsent: list[Unsent] = []\n",
                (
                    "        started = time.monotonic()\n        unsent: list[Unsent] = []\n"
                    "        for source in batch:\n"
                    "            self._store.position.finish(source.draw.number)\n"
                    "        self._store.position.save()\n"
                ),
            ),
            (
                "emulator/engine.py",
                (
                    "        for source in batch:\n"
                    "            self._store.position.finish(source.draw.number)\n"
                    "        await self._commit_soon()"
                ),
                "        await self._commit_soon()",
            ),
        ),
        (f"{_EMULATOR} -k killed_before", "tests/unit/test_emulator_delivery.py -k kill_at_any_step"),
    ),
    Mutation(
        "gateway: answers before Kafka acknowledged",
        (
            (
                "services/gateway/writer.py",
                '            "acks": "all",\n            "enable.idempotence": True,',
                '            "acks": "0",\n            "enable.idempotence": False,',
            ),
        ),
        (f"{_GATEWAY} -k kafka_killed",),
    ),
    Mutation(
        "gateway: waits for Kafka as long as it takes",
        (
            (
                "services/gateway/writer.py",
                "DELIVERY_TIMEOUT_MS = 15_000",  # the producer's limit, and with it that of the answer
                "DELIVERY_TIMEOUT_MS = 150_000",
            ),
        ),
        ("tests/contract/test_gateway_lifecycle.py -k does_not_acknowledge",),
    ),
    Mutation(
        "gateway: ends at once at SIGTERM",
        (
            ("services/gateway/server.py", "_GRACE_S = 28", "_GRACE_S = 0"),
            (
                "services/gateway/server.py",
                "    def stop() -> None:\n",
                "    def stop() -> None:\n        import os\n        os._exit(0)\n",
            ),
        ),
        (f"{_GATEWAY} -k sigterm",),
    ),
    Mutation(
        "gateway: one body at a time",
        (
            (
                "services/gateway/intake.py",
                "            async with asyncio.timeout(_BODY_TIMEOUT_S):\n",
                "            async with _ONE, asyncio.timeout(_BODY_TIMEOUT_S):\n",
            ),
            (
                "services/gateway/intake.py",
                "_BODY_TIMEOUT_S = 30.0\n",
                "_BODY_TIMEOUT_S = 30.0\n_ONE = asyncio.Lock()\n",
            ),
        ),
        (f"{_GATEWAY} -k stall",),
    ),
    Mutation(
        "gateway: 500 connections",
        (("services/gateway/server.py", "_CONNECTIONS = 4096", "_CONNECTIONS = 500"),),
        (f"{_GATEWAY} -k thousand",),
    ),
    Mutation(
        "gateway: another limit of a body",
        (("services/gateway/intake.py", "BODY_LIMIT = 10 * 1024 * 1024", "BODY_LIMIT = 11 * 1024 * 1024"),),
        ("tests/contract/test_gateway_produce.py -k 10_mib",),
    ),
    Mutation(
        "gateway: an exception that nobody expects",
        (
            (
                "services/gateway/records.py",
                "def parse(",
                (
                    "def parse(body, *a):\n    if b'\\x00' in body:\n        raise ZeroDivisionError\n"
                    "    return _parse(body, *a)\n\n\ndef _parse("
                ),
            ),
        ),
        ("tests/faults/test_random_requests.py",),
    ),
    Mutation(
        "gateway: a leak of 4 kB a request",
        (
            (
                "services/gateway/intake.py",
                "        held = 0\n        try:",
                "        held = 0\n        _LEAK.append(bytes(4096))\n        try:",
            ),
            (
                "services/gateway/intake.py",
                "_BODY_TIMEOUT_S = 30.0\n",
                "_BODY_TIMEOUT_S = 30.0\n_LEAK: list[bytes] = []\n",
            ),
        ),
        ("tests/faults/test_random_requests.py",),
    ),
    Mutation(
        "stack: the supervisor doesn't restart what died",
        (("services/native/supervise.py", 'autorestart="true"', 'autorestart="false"'),),
        ("tests/integration/test_native_stack.py -k killed_service", "tests/faults/test_stack.py -k 'middle and s3'"),
    ),
    Mutation(
        "batch: quarantined rows are inserted without looking",
        (
            (
                "spark/lakehouse/jobs/silver.py",
                "ON t.event = '{event.name}' AND t._object = s._object AND t._line = s._line",
                "ON false",
            ),
        ),
        (f"{_LAKE} -k what_kills",),
    ),
    Mutation(
        "batch: the answers are taken for current",
        (
            (
                "spark/lakehouse/published.py",
                "        return all(self.versions.get(question) == versions for question in QUESTIONS)",
                "        return True",
            ),
        ),
        (f"{_LAKE} -k what_kills",),
    ),
    Mutation(
        "batch: what another run did meanwhile is done again",
        (("spark/lakehouse/batch.py", "        if waited or lease.replaced != seen:\n", "        if waited:\n"),),
        ("tests/integration/test_lake_batch.py -k another_run_did",),
    ),
    Mutation(
        "batch: a dead holder of the lease is not noticed",
        (
            (
                "spark/lakehouse/lease.py",
                "        except ProcessLookupError:\n            return True",
                "        except ProcessLookupError:\n            return False",
            ),
        ),
        ("tests/integration/test_lake_batch.py -k dead_process",),
    ),
    Mutation(
        "batch: a log that another run begins just now is taken for missing",
        (
            (
                "spark/lakehouse/logs.py",
                "    return _log_by_files(s3, settings, folder) or Log.MISSING\n",
                "    return Log.MISSING\n",
            ),
        ),
        (f"{_FORGOTTEN} -k between_two_looks",),
    ),
    Mutation(
        "batch: tables that another run creates just now are set aside",
        (("spark/lakehouse/tables.py", "    if of_no_use:  # or another", "    if False:  # or another"),),
        (f"{_FORGOTTEN} -k creates_and_fills",),
    ),
    Mutation(
        "batch: what is left of a forgotten lake is gone on from",
        (("spark/lakehouse/tables.py", "    for table in _of_no_use(lake, found):\n", "    for table in ():\n"),),
        (f"{_FORGOTTEN} -k set_aside",),
    ),
    Mutation(
        "batch: silver is forgotten behind a progress that is not",
        (("spark/lakehouse/tables.py", "    if not broken and any(", "    if False and any("),),
        (f"{_FORGOTTEN} -k set_aside",),
    ),
    Mutation(
        "stream: what was refused isn't quarantined",
        (
            (
                "spark/lakehouse/stream/verdicts.py",
                '        _quarantine(event, refused, refused["reason"]),\n',
                "",
            ),
        ),
        (f"{_VERDICTS} -k written_already",),
    ),
    Mutation(
        "stream: a key's other content is a duplicate",
        (
            (
                "spark/lakehouse/stream/verdicts.py",
                "    conflict = winners != contents\n",
                "    conflict = np.zeros(len(keys), dtype=np.bool_)\n",
            ),
        ),
        (f"{_VERDICTS} -k first_of_a_key",),
    ),
    Mutation(
        "stream: a batch doesn't look at what the tables hold",
        (("spark/lakehouse/stream/verdicts.py", "    fresh &= ~stored\n", ""),),
        (f"{_VERDICTS} -k written_already",),
    ),
    Mutation(
        "stream: nothing is known of what the tables hold",
        (
            (
                "spark/lakehouse/stream/store.py",
                '    return KeyIndex(rows["ind"].to_numpy(), rows["content"].to_numpy())',
                '    return KeyIndex(rows["ind"].to_numpy()[:0], rows["content"].to_numpy()[:0])',
            ),
        ),
        ("tests/integration/test_stream.py -k kill_at_each_moment",),
    ),
    Mutation(
        "stream: a damaged checkpoint isn't noticed",
        (("spark/lakehouse/stream/checkpoint.py", "    if not offsets and not commits:\n", "    if True:\n"),),
        ("tests/contract/test_stream_checkpoint.py -k damaged",),
    ),
    Mutation(
        "stream: a stream made again is told without what to do",
        (
            (
                "spark/lakehouse/stream/job.py",
                '    if "StreamRecreatedError" in text or "OffsetError" in text:',
                "    if False:",
            ),
        ),
        (f"{_STREAM_PROCESS} -k 'what_to_do and StreamRecreated'",),
    ),
    Mutation(
        "stream: a missing stream is told without what to do",
        (("spark/lakehouse/stream/job.py", '    if "StreamNotFoundError" in text:', "    if False:"),),
        (f"{_STREAM_PROCESS} -k 'what_to_do and StreamNotFound'",),
    ),
    Mutation(
        "stream: refused credentials are told without their settings",
        (("spark/lakehouse/stream/job.py", '    if "AccessError" in text:', "    if False:"),),
        (f"{_STREAM_PROCESS} -k 'what_to_do and Access'",),
    ),
    Mutation(
        "stream: of an error of the source the text's last line is told",
        (
            (
                "spark/lakehouse/stream/job.py",
                "    return named[-1][:600] if named else text[-600:]",
                "    return text.splitlines()[-1]",
            ),
        ),
        (f"{_STREAM_PROCESS} -k what_to_do",),
    ),
    Mutation(
        "stream: the job ends at its first error",
        (("spark/lakehouse/stream/job.py", "            problem = explain(settings, error)\n", "            raise\n"),),
        (f"{_STREAM_PROCESS} -k runs_again",),
    ),
    Mutation(
        "stream: tables are never compacted",
        (("spark/lakehouse/stream/upkeep.py", "        for table in self.due():\n", "        for table in ():\n"),),
        ("tests/integration/test_stream_upkeep.py",),
    ),
    Mutation(
        "stream: a checkpoint is believed whatever the tables hold",
        (("spark/lakehouse/stream/query.py", "        forgotten.mend(lake)\n", ""),),
        (_STREAM_FORGOTTEN,),
    ),
    Mutation(
        "stream: a query goes on though its checkpoint was forgotten",
        (("spark/lakehouse/stream/query.py", "                remembered.check()\n", ""),),
        (_STREAM_FORGOTTEN,),
    ),
    Mutation(
        "source: the record that reading resumes after is read again",
        (
            (
                "spark/pyspark_kinesis/cursor.py",
                "            if not lost and not self._inclusive:",
                "            if False:",
            ),
        ),
        ("tests/unit/test_kinesis_source_frontier.py -k resumes", f"{_SOURCE} -k read_again_ends"),
    ),
    Mutation(
        "source: children are read before their parents are",
        (
            (
                "spark/pyspark_kinesis/shards.py",
                "    return all(parent in ended or not reachable(known, parent, alive) for parent in shard.parents)",
                "    return True",
            ),
        ),
        ("tests/unit/test_kinesis_source_frontier.py", f"{_SOURCE} -k merged_shard_waits"),
    ),
    Mutation(
        "source: a batch that is read again ends at the tip of now",
        (
            (
                "spark/pyspark_kinesis/fetch.py",
                "            chunk = chunk.head(chunk.upto(wanted.last))\n",
                "",
            ),
        ),
        (f"{_SOURCE} -k read_again_ends",),
    ),
    Mutation(
        "source: what was trimmed is no loss",
        (("spark/pyspark_kinesis/losses.py", "    if fail:\n", "    if False:\n"),),
        (f"{_SOURCE} -k trimmed",),
    ),
    Mutation(
        "source: a stream is known by its name alone",
        (("spark/pyspark_kinesis/resume.py", "    if state.created_ms != created_ms:", "    if False:"),),
        (f"{_SOURCE} -k made_again",),
    ),
    Mutation(
        "kinesis: base64 is not read strictly",
        (
            (
                "services/kinesis/model.py",
                "            return binascii.a2b_base64(value, strict_mode=True)",
                "            return binascii.a2b_base64(value, strict_mode=False)",
            ),
        ),
        ("tests/contract/test_kinesis_malformed.py -k not_base64",),
    ),
    Mutation(
        "gateway: errors of Kinesis are 200 in every mode",
        (
            (
                "services/gateway/streams.py",
                "    status = reply.status\n    if errors",
                "    status = 200\n    if errors",
            ),
        ),
        ("tests/contract/test_gateway_stream_actions.py -k errors_of_kinesis",),
    ),
    Mutation(
        "replay: what a killed one put isn't looked for",
        (
            (
                "pinline/replay/streams.py",
                "        sender.mark_what_was_put([entry for entry in found if not marks.has(entry)])\n",
                "",
            ),
        ),
        ("tests/integration/test_replay_streams.py -k around_the_put",),
    ),
    Mutation(
        "replay: a put isn't noted before",
        (
            (
                "pinline/replay/streams.py",
                "            self._write(to_note(entry, now_ms) for entry in entries)\n",
                "",
            ),
        ),
        ("tests/integration/test_replay_streams.py -k around_the_put",),
    ),
)


def run(mutation: Mutation, folder: Path) -> bool:
    """Whether every test of the mutation fails, in a copy of the code at `folder`."""
    originals: dict[Path, str] = {}
    for name, old, new in mutation.edits:
        file = folder / name
        text = file.read_text()
        originals.setdefault(file, text)
        if old not in text:
            raise LookupError(f"{mutation.name}: {name} no longer holds {old!r}")
        file.write_text(text.replace(old, new, 1))
    try:
        fails = [_fails(mutation, test, folder) for test in mutation.tests]
        return all(fails)
    finally:
        for file, text in originals.items():
            file.write_text(text)


def _fails(mutation: Mutation, test: str, folder: Path) -> bool:
    begun = time.monotonic()
    words = [sys.executable, "-m", "pytest", "-q", "-x", "--timeout=400", "-p", "no:cacheprovider", *shlex.split(test)]
    paths = os.pathsep.join(map(str, (folder, folder / "services", folder / "spark")))
    process = subprocess.Popen(
        words,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _ = process.communicate()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)  # pytest ends the services that it started
        process.wait(120)
        raise
    said = {1: "fails, as it has to", 0: "PASSES"}.get(process.returncode, f"DID NOT RUN ({process.returncode})")
    why = next((line[2:].strip() for line in output.splitlines() if line.startswith("E  ")), "")
    print(f"{said:20} {mutation.name} | {test} | {time.monotonic() - begun:.0f} s | {why[:160]}", flush=True)
    return process.returncode == 1


def main() -> int:
    """Run as a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mutations", description=__doc__)
    parser.add_argument("--only", default="", help="a part of the name or of a test")
    only = parser.parse_args().only
    chosen = [one for one in MUTATIONS if only in one.name or any(only in test for test in one.tests)]
    with tempfile.TemporaryDirectory(prefix="pinline-mutations-") as temporary:
        folder = Path(temporary)
        for name in _COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, folder / name)
        for name in (".venv", ".local"):
            (folder / name).symlink_to(ROOT / name)
        failed = [mutation.name for mutation in chosen if not run(mutation, folder)]
    print(
        f"{len(chosen) - len(failed)} of {len(chosen)} mutations are noticed" + "".join(f"\n  not: {n}" for n in failed)
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
