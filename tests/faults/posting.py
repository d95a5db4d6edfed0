"""Clients that post to gateways until a block ends, and what they were told: which records were acknowledged, where."""

import concurrent.futures
import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.fixtures.backends import wait_until
from tests.fixtures.brokers import Brokers

TYPE = "application/vnd.kafka.json.v2+json"
HEADERS = {"Content-Type": TYPE}
Place = tuple[int, int]
"""Partition and offset."""


@dataclass
class Posted:
    """What clients were told."""

    acknowledged: dict[Place, bytes] = field(default_factory=dict)
    """Where each value is."""
    refused: list[tuple[int, int | None]] = field(default_factory=list)
    """Status and error code of what wasn't."""
    strange: list[str] = field(default_factory=list)
    longest_silence: float = 0.0
    """Seconds between two acknowledgements."""

    def acknowledged_in(self, partition: int) -> int:
        """How many records of a partition are acknowledged so far."""
        return sum(place[0] == partition for place in list(self.acknowledged))


def not_stored(told: Mapping[Place, bytes], stored: Mapping[Place, bytes | None]) -> list[str]:
    """Return the acknowledged records that are not where they were said to be."""
    return [f"{at}: {value!r}, not {stored.get(at)!r}" for at, value in told.items() if stored.get(at) != value]


@contextmanager
def posting(urls: Sequence[str], clients: int = 4, pause_s: float = 0.0) -> Iterator[Posted]:
    """Clients that post three records at a time, each to the URLs in turn, with a pause between requests."""
    seen, ended, numbers = Posted(), threading.Event(), itertools.count()
    last = [time.monotonic()]

    def client(first: int) -> None:
        with httpx.Client(headers=HEADERS, timeout=60) as http:
            for url in itertools.islice(itertools.cycle(urls), first, None):
                if ended.wait(pause_s):
                    return
                values = [next(numbers) for _ in range(3)]
                answer = http.post(url, json={"records": [{"key": value, "value": {"n": value}} for value in values]})
                if answer.status_code != 200:
                    seen.refused.append((answer.status_code, answer.json()["error_code"]))
                    continue
                for value, entry in zip(values, answer.json()["offsets"], strict=True):
                    place = (entry["partition"], entry["offset"])
                    if entry["error_code"] is not None:
                        seen.refused.append((200, entry["error_code"]))
                    elif place in seen.acknowledged:
                        seen.strange.append(f"{place} twice")
                    else:
                        seen.acknowledged[place] = b'{"n":%d}' % value
                        now = time.monotonic()
                        seen.longest_silence, last[0] = max(seen.longest_silence, now - last[0]), now

    with concurrent.futures.ThreadPoolExecutor(clients) as threads:
        work = [threads.submit(client, number) for number in range(clients)]
        try:
            yield seen
        finally:
            ended.set()
        for done in work:
            done.result(90)


def lose_a_broker(
    brokers: Brokers, topic: str, urls: Sequence[str], *, records: int, clients: int, pause_s: float
) -> Posted:
    """Post to a topic while the broker that leads its partition 0 is killed and started again.

    Before, meanwhile and afterwards `records` of partition 0 are acknowledged.
    """
    with posting(urls, clients, pause_s) as seen:

        def wait(what: str) -> None:
            before = seen.acknowledged_in(0)
            wait_until(lambda: seen.acknowledged_in(0) >= before + records, 120, f"{what}: {seen.refused[-3:]}")

        wait("records are acknowledged by three brokers")
        victim = brokers.leader(topic, 0)
        brokers.kill(victim)
        wait("records are acknowledged by two brokers")
        brokers.start(victim)
        brokers.wait_in_sync([topic])
        wait("records are acknowledged by three brokers again")
    return seen
