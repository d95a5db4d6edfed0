"""Which tests one worker runs, and in which order: those that share a Spark server together, the long ones first."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_DAGS = ("integration/test_dag_runs.py",)
_LAKE = (
    "integration/test_lake_faults.py",
    "integration/test_lake_batch.py",
    "integration/test_course_notebooks.py",
    "integration/test_notebook_environment.py",
    "integration/test_workspace_runs.py",
    "integration/test_replay_quarantine.py",
    "integration/test_stream_upkeep.py",
    "integration/test_lake_forgotten.py",
    "unit/test_lake_cleaning.py",
)
_STREAM = (
    "integration/test_stream.py",
    "integration/test_course_streaming.py",
    "integration/test_kinesis_source.py",
    "faults/test_kinesis_source.py",
)
_ALONE = (
    "e2e/test_batch_path.py",
    "faults/test_stack.py",
    "integration/test_scale.py",
)
_WAIT = (
    "integration/test_replay_dead_letters.py",
    "faults/test_sink_deaths.py",
    "faults/test_sink_log_and_bucket.py",
    "integration/test_native_stack.py",
    "faults/test_gateway.py",
    "faults/test_kinesis_kills.py",
    "contract/test_gateway_lifecycle.py",
    "integration/test_kinesis_source_property.py",
    "integration/test_emulator_streaming.py",
    "integration/test_replay_streams.py",
    "faults/test_emulator.py",
    "integration/test_sink_end_to_end.py",
)
"""They wait more than they work: beside a unit that works, not beside each other at the end."""
_WORK = (
    "faults/test_random_requests.py",
    "e2e/test_switch.py",
    "contract/test_airflow_operators.py",
    "integration/test_notebook_runs.py",
    "contract/test_kinesis_source_reader.py",
    "contract/test_gateway_anything.py",
)
_UNITS = (_DAGS, _LAKE, _STREAM, *((file,) for file in (*_ALONE, *_WAIT, *_WORK)))
"""Files that one worker runs, in the order in which units are given out. Every other file is a unit, after these."""

_RANK = {file: (rank, place) for rank, unit in enumerate(_UNITS) for place, file in enumerate(unit)}


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0].removeprefix("tests/")


class _Units(LoadScopeScheduling):  # type: ignore[misc]
    """A unit of files to the worker that is free first, in the order of the units."""

    def _split_scope(self, nodeid: str) -> str:
        file = _file(nodeid)
        return _UNITS[_RANK[file][0]][0] if file in _RANK else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Units:
    """Spread the units over the workers."""
    config.option.loadscopereorder = False
    return _Units(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the units in order; within a file the order stays."""
    items.sort(key=lambda item: _RANK.get(_file(item.nodeid), (len(_UNITS), 0)))
