"""`make chaos MINUTES=10 [SEED=]`: kill random parts of a whole stack at random moments under load, then account.

The stack is one of its own, in a temporary folder. Emulator and batch run again and again; services, emulator and batch
are killed (-9), or stopped for some seconds as if they hung; moments and victims follow from the seed, which is
printed. The end: everything runs, what is spooled is sent, all is waited for, a batch, the accounting. Exit code 0:
balanced.
"""

import argparse
import json
import random
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from native.ready import problem
from native.services import SERVICES
from pinline.settings import ROOT
from tests.faults.load import BATCH, EMULATE, Command, accounting, acknowledged, spooled
from tests.fixtures.backends import PIPELINE, Stack, embedded_stack

COMMANDS = {
    "emulator": (*EMULATE, "--count", "1000", "--rate", "60", "--concurrency", "8"),
    "batch": BATCH,
}
_SEND_SPOOL = (*EMULATE, "--count", "1")


@dataclass(frozen=True)
class Blow:
    """What is done to whom, and when: seconds since the start."""

    at: float
    victim: str
    hangs: float
    """Seconds for which the victim is stopped; 0: it is killed."""
    early: bool
    """Whether it falls though the victim has not come back from the last one."""


def plan(seed: int, minutes: float) -> Iterator[Blow]:
    """Yield the blows of a run, in order of time: the same for the same seed and minutes."""
    chance = random.Random(seed)
    at = 5.0
    while at < minutes * 60:
        hangs = round(chance.uniform(1, 8), 1) if chance.random() < 0.2 else 0
        yield Blow(round(at, 1), chance.choice([*PIPELINE, *COMMANDS]), hangs, chance.random() < 0.25)
        at += chance.uniform(2, 18)


class Loop(threading.Thread):
    """A command that is started again whenever it ends, until told to stop."""

    def __init__(self, stack: Stack, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.ends: Counter[int] = Counter()
        self.now: Command | None = None
        self._stack = stack
        self._stopping = threading.Event()

    def run(self) -> None:
        """Start, wait, start."""
        while not self._stopping.is_set():
            self.now = Command(self._stack, *COMMANDS[self.name])
            self.ends[self.now.wait(3600)] += 1
            self._stopping.wait(0.5)

    def stop(self) -> None:
        """Ask the last one to end, and wait for it."""
        self._stopping.set()
        if self.now and self.name == "emulator":
            self.now.process.send_signal(signal.SIGINT)
        self.join()


class Chaos:
    """One run on a running stack."""

    def __init__(self, stack: Stack, tell: Callable[[str], None]) -> None:
        self._stack = stack
        self._tell = tell
        self._begun = time.monotonic()
        self._loops = {name: Loop(stack, name) for name in COMMANDS}

    def strike(self, blows: Iterator[Blow]) -> None:
        """Run the load and the blows."""
        for loop in self._loops.values():
            loop.start()
        try:
            for blow in blows:
                time.sleep(max(0.0, self._begun + blow.at - time.monotonic()))
                self._strike(blow)
        finally:
            for loop in self._loops.values():
                loop.stop()
        for name, loop in self._loops.items():
            self._tell(f"{name}: exit codes {dict(loop.ends)}")

    def _strike(self, blow: Blow) -> None:
        if blow.victim in SERVICES and not blow.early and problem(SERVICES[blow.victim].check, self._stack.settings):
            self._tell(f"{blow.victim} is spared: it is not back yet")
            return
        pid = self._pid(blow.victim)
        done = f"hangs for {blow.hangs} s" if blow.hangs else "killed"
        try:
            victim = psutil.Process(pid) if pid else None
            if victim and blow.hangs:
                victim.suspend()
                time.sleep(blow.hangs)
                victim.resume()
            elif victim:
                victim.kill()
        except psutil.NoSuchProcess:
            victim = None
        done = done if victim else "was not running"
        self._tell(f"{blow.victim} {done}; {acknowledged(self._stack):,} records so far")

    def _pid(self, victim: str) -> int:
        if victim in self._loops:
            now = self._loops[victim].now
            return 0 if now is None or now.ended else now.process.pid
        return self._stack.pid(victim)

    def settle(self) -> None:
        """Let everything that was accepted arrive."""
        for name in PIPELINE:
            self._stack.wait_ready(name, seconds=180)
        self._tell("everything runs again")
        deadline = time.monotonic() + 180
        while True:
            code = Command(self._stack, *_SEND_SPOOL).wait(180)
            if code == 0 and not spooled(self._stack):
                break
            if time.monotonic() > deadline:
                left = spooled(self._stack)
                raise TimeoutError(f"the emulator ended with {code}, and {left} records are in its spool")
        self._stack.run("-m", "pinline", "wait", "--timeout", "180", seconds=240)
        self._tell("all that Kafka holds is in S3")
        self._stack.run(*BATCH, seconds=900)


def run(minutes: float, seed: int) -> bool:
    """Return whether the accounting is balanced. The stack's folder is removed if it is."""
    begun = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {text}", flush=True)

    print(f"chaos for {minutes:g} minutes; the same again: make chaos MINUTES={minutes:g} SEED={seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="pinline-chaos-"))
    with embedded_stack(folder, *PIPELINE, kafka_partitions=3) as stack:
        tell(f"the stack is up in {folder}")
        chaos = Chaos(stack, tell)
        chaos.strike(plan(seed, minutes))
        chaos.settle()
        balanced, found = accounting(stack)
    print(json.dumps(found, indent=1))
    if balanced:
        shutil.rmtree(folder, ignore_errors=True)
        tell(f"balanced, seed {seed}")
    else:
        tell(f"NOT balanced, seed {seed}; logs and data are in {folder}")
    return balanced


def main() -> int:
    """Run as a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, help="of an earlier run, to repeat it (default: a new one)")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    return 0 if run(options.minutes, seed) else 1


if __name__ == "__main__":
    sys.exit(main())
