"""Sends records until each is acknowledged, repeating only those that failed. At least once: a lost answer means again.

Repeats come with exponential backoff and full jitter, a Retry-After holds back every request, and after
`give_up_after` seconds (at once when the run is to end) what still fails is handed back to the caller, who must keep
it.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import aiohttp
import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    RetryError,
    retry_if_exception_type,
    stop_after_delay,
    stop_any,
    wait_random_exponential,
)
from tenacity.stop import stop_base

from emulator.figures import Figures
from emulator.rows import Record
from emulator.target import Accepted, Answer, Failed, Outcome, Request, Target, TooLargeError
from pinline.errors import UnreachableError
from pinline.events import EventType

_log = structlog.get_logger(__name__)

OnAccepted = Callable[[Record, Accepted], None]


@dataclass(frozen=True)
class Patience:
    """How long one waits, in seconds."""

    answer: float = 35.0
    """For an answer; API Gateway's own limit is 29 s."""
    connection: float = 5.0
    give_up_after: float = 60.0
    """For a record, from its first attempt on."""
    first_wait: float = 0.1
    longest_wait: float = 5.0


@dataclass(frozen=True, slots=True)
class Unsent:
    """A record that was not acknowledged, and the last reason."""

    record: Record
    failed: Failed


class _StillUnsentError(Exception):
    pass


class _StopAtEnd(stop_base):
    def __init__(self, ending: asyncio.Event) -> None:
        self._ending = ending

    def __call__(self, retry_state: RetryCallState) -> bool:  # noqa: ARG002  # tenacity's interface
        return self._ending.is_set()


class Delivery:
    """Delivers records of one event type at a time over a pooled session. Used by many tasks at once."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        target: Target,
        patience: Patience,
        figures: Figures,
        ending: asyncio.Event,
    ) -> None:
        self._session = session
        self._target = target
        self._patience = patience
        self._figures = figures
        self._ending = ending
        self._timeout = aiohttp.ClientTimeout(total=patience.answer, sock_connect=patience.connection)
        self._not_before = 0.0
        self._failing = False
        self._last_accepted = float("-inf")
        self._backoff = wait_random_exponential(multiplier=patience.first_wait, max=patience.longest_wait)

    async def probe(self) -> None:
        """Ask whether the API answers at all. Raises UnreachableError, RefusedError for a wrong stage."""
        request = self._target.probe()
        try:
            answer = await self._exchange(request)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            cause = _kind(error)
            raise UnreachableError("the API", self._target.url, self._target.setting, cause) from error
        if answer.status in (401, 403):
            self._target.outcomes(request, 0, answer)

    async def deliver(self, event: EventType, records: Sequence[Record], on_accepted: OnAccepted) -> list[Unsent]:
        """Send `records`, calling `on_accepted` for each acknowledged one; return the others. Raises RefusedError."""
        if not records:
            return []
        unsent = await self._attempt(event, records, on_accepted)
        return await self._repeat(event, unsent, on_accepted) if unsent else unsent

    def silent_since(self, started: float) -> bool:
        """Whether nothing at all was acknowledged since `started` (monotonic), and patience is at its end."""
        return self._last_accepted < started and time.monotonic() - started >= self._patience.give_up_after

    async def _repeat(self, event: EventType, unsent: list[Unsent], on_accepted: OnAccepted) -> list[Unsent]:
        given_up: list[Unsent] = []
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(_StillUnsentError),
            stop=stop_any(stop_after_delay(self._patience.give_up_after), _StopAtEnd(self._ending)),
            wait=lambda state: self._wait(state, unsent),
            sleep=self._pause,
        )
        try:
            async for attempt in attempts:
                number = attempt.retry_state.attempt_number
                with attempt:
                    if number > 1:  # the first one was made by `deliver`
                        self._figures.retries += len(unsent)
                        unsent = await self._attempt(event, [entry.record for entry in unsent], on_accepted)
                    given_up += (entry for entry in unsent if entry.failed.hopeless_after(number))
                    unsent = [entry for entry in unsent if not entry.failed.hopeless_after(number)]
                    if unsent:
                        raise _StillUnsentError
        except RetryError:
            pass
        return given_up + unsent

    async def _attempt(self, event: EventType, records: Sequence[Record], on_accepted: OnAccepted) -> list[Unsent]:
        hold = self._not_before - time.monotonic()
        if hold > 0:
            await self._pause(hold)
        try:
            outcomes = await self._post(event, records)
        except TooLargeError:
            half = len(records) // 2
            first = await self._attempt(event, records[:half], on_accepted)
            return first + await self._attempt(event, records[half:], on_accepted)
        unsent = []
        for record, outcome in zip(records, outcomes, strict=True):
            if isinstance(outcome, Accepted):
                on_accepted(record, outcome)
            else:
                unsent.append(Unsent(record, outcome))
        if len(unsent) < len(records):
            self._last_accepted = time.monotonic()
            self._tell_recovery()
        if unsent:
            self._count_failure(event, unsent[0].failed, len(unsent) == len(records))
        return unsent

    async def _post(self, event: EventType, records: Sequence[Record]) -> list[Outcome]:
        request = self._target.request(event, records)
        started = time.perf_counter()
        try:
            answer = await self._exchange(request)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return [Failed(_kind(error))] * len(records)
        self._figures.latencies.add(time.perf_counter() - started)
        return self._target.outcomes(request, len(records), answer)

    async def _exchange(self, request: Request) -> Answer:
        async with self._session.request(
            request.method, request.url, data=request.body, headers=request.headers, timeout=self._timeout
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    def _wait(self, state: RetryCallState, unsent: list[Unsent]) -> float:
        asked = max((entry.failed.retry_after or 0.0 for entry in unsent), default=0.0)
        asked = min(asked, self._patience.give_up_after)
        if asked:
            self._not_before = max(self._not_before, time.monotonic() + asked)
        return asked + self._backoff(state)

    async def _pause(self, seconds: float) -> None:
        """Wait, at most until the run is to end."""
        try:
            await asyncio.wait_for(self._ending.wait(), seconds)
        except TimeoutError:
            return

    def _count_failure(self, event: EventType, failed: Failed, whole: bool) -> None:
        self._figures.failures[failed.reason.partition(":")[0]] += 1
        if whole and not self._failing:
            self._failing = True
            _log.warning(
                "the API does not accept records, trying again",
                url=self._target.url,
                event_type=event.name,
                reason=failed.reason,
            )

    def _tell_recovery(self) -> None:
        if self._failing:
            self._failing = False
            _log.info("the API accepts records again", url=self._target.url)


def _kind(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
