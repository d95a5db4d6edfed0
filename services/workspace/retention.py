"""Runs are forgotten WORKSPACE_KEEP_DAYS after they ended, with all that they left: 60 days, as on Databricks."""

import asyncio
import shutil
from contextlib import suppress

import structlog

from pinline.settings import Settings
from workspace import work
from workspace.store import Store, now

log = structlog.get_logger("workspace")

_EVERY_SECONDS = 3600.0
_DAY_MS = 86_400_000


async def keep_forgetting(settings: Settings, store: Store) -> None:
    """Forget at once and then every hour, until cancelled."""
    while True:
        await asyncio.to_thread(_forget, settings, store)
        await asyncio.sleep(_EVERY_SECONDS)


def _forget(settings: Settings, store: Store) -> None:
    for run in store.ended_before(now() - settings.workspace_keep_days * _DAY_MS):
        try:
            for task in store.tasks(run.run_id):
                with suppress(FileNotFoundError):
                    shutil.rmtree(work.files(settings, task.run_id).folder)
        except OSError as error:
            log.warning("run_not_forgotten", run=run.run_id, error=str(error))
            continue
        store.forget(run.run_id)
        log.info("run_forgotten", run=run.run_id, name=run.name)
