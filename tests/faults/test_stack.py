"""Each back end is killed in the middle of `emulate` and of `batch` on a whole stack, and restarted."""

from collections.abc import Iterator

import pytest

from tests.faults.load import BATCH, EMULATE, accounting, acknowledged, command
from tests.fixtures.backends import BATCH_PATH, Stack, embedded_stack, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.timeout(1800)]

COUNT = 1500
RECORDS = 3 * COUNT


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with embedded_stack(tmp_path_factory.mktemp("stack"), *BATCH_PATH, kafka_partitions=3) as running:
        yield running


@pytest.mark.parametrize("service", ["mysql", "kafka", "s3", "spark"])
def test_restarted_in_the_middle_of_emulate_and_of_batch_both_end_and_accounting_is_balanced(
    stack: Stack, service: str
) -> None:
    before = acknowledged(stack)
    arguments = ("--order", "sequential", "--count", str(COUNT), "--rate", "400", "--batch-size", "5")
    with command(stack, *EMULATE, *arguments) as emulate:
        wait_until(lambda: acknowledged(stack) > before + 100 or emulate.ended, 120, "records are acknowledged")
        assert not emulate.ended, emulate.said
        killed = stack.kill(service)
        assert emulate.wait(300) == 0, emulate.said
    assert acknowledged(stack) - before >= RECORDS
    stack.wait_ready(service, after=killed)
    stack.run("-m", "pinline", "wait")

    with command(stack, *BATCH) as batch:
        wait_until(lambda: "lease" in batch.said or batch.ended, 300, "the batch is at work")
        assert not batch.ended, batch.said
        killed = stack.kill(service)
        code = batch.wait(900)
        said = batch.said
    stack.wait_ready(service, after=killed)
    if code:
        assert "Traceback" not in said
        stack.run(*BATCH, seconds=900)
    else:
        assert service != "spark", "a batch can't have been at work without its server"
    balanced, found = accounting(stack)
    assert balanced, found
