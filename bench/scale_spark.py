"""The batch on a Spark standalone cluster of two workers with a core each, beside local mode on the same objects."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.batch import Answers, check, from_nothing, post, restart_spark
from bench.figures import Row, Size
from pinline.events import EVENTS
from tests.fixtures.backends import BATCH_PATH, Stack, embedded_stack
from tests.fixtures.lake import executors
from tests.fixtures.spark_cluster import spark_cluster


@dataclass(frozen=True)
class Run:
    """Seconds of the batch from an empty lake, directly after Spark's start and later; its steps; its answers."""

    cold: float
    warm: float
    steps: str
    answers: Answers


def rows(folder: Path, size: Size) -> Iterator[Row]:
    """Yield seconds on the cluster. The answers have to be local mode's, and each worker has to have worked."""
    with spark_cluster(folder / "cluster") as cluster, embedded_stack(folder / "stack", *BATCH_PATH) as stack:
        stack.run("-m", "seed_data", "--events", str(size.events))
        post(stack, size.events)
        local = run(stack)
        with Path(stack.env["PINLINE_ENV_FILE"]).open("a") as file:
            file.writelines(f"{name.upper()}={value}\n" for name, value in cluster.items())
        spread = run(stack)
        worked = [executor["totalTasks"] for executor in executors(stack.settings)]
    check("the cluster", spread.answers, local.answers)
    if len(worked) != 2 or not all(worked):
        raise RuntimeError(f"the executors did {worked} tasks")
    what = f"{size.events * len(EVENTS):,} records, batch on 2 workers"
    note = f"tasks: {worked[0]:,} and {worked[1]:,}; {spread.steps}"
    yield Row("scale", f"{what}, cold", spread.cold, "s", "local[2]", local.cold)
    yield Row("scale", f"{what}, warm", spread.warm, "s", "local[2]", local.warm, note=note)


def run(stack: Stack) -> Run:
    """Start Spark anew and run the batch three times, each on an emptied lake."""
    restart_spark(stack)
    cold, _ = from_nothing(stack)
    warm, steps = min(from_nothing(stack) for _ in range(2))
    answers = json.loads(stack.run("-m", "lakehouse.results", "--format", "json").stdout)
    return Run(cold, warm, steps, answers)
