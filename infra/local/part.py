"""A part of the running stack: how it starts, how it ends, and how often it fell over lately."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from infra.local.process import Identity, identity, members

FIRST_DELAY: Final = 0.2
LONGEST_DELAY: Final = 30.0
# One that ran for this long has recovered: its next fall is a first one again.
RECOVERED_SECONDS: Final = 60.0


class Stage(IntEnum):
    """In which order the parts are stopped: nobody loses what it stands on before it has ended itself."""

    FUNCTIONS = 1  # finish or release what they hold
    DOORS = 2  # connector, nginx: bring nothing new
    VALKEY = 3
    POSTGRES = 4


@dataclass(slots=True)
class Part:
    """One child of the supervisor. `launch` starts it and returns its process id."""

    name: str
    stage: Stage
    launch: Callable[[], int]
    stop_signal: signal.Signals = signal.SIGTERM
    # What to do after it fell over, before it is launched again.
    mend: Callable[[], None] | None = None
    process: Identity | None = None
    started: float = 0.0
    failures: int = 0
    # When it is launched again, on the monotonic clock; None while it runs.
    due: float | None = None

    def start(self) -> None:
        """Launch it."""
        self.started = time.monotonic()
        self.due = None
        pid = self.launch()
        # A child is there, dead or alive, until its parent has looked: the id cannot be anybody else's yet.
        self.process = identity(pid) or Identity(pid, "0")

    def fell(self, now: float) -> float:
        """It ended though nobody asked. Returns the seconds until it is launched again: twice as long each time."""
        self.failures = 1 if now - self.started > RECOVERED_SECONDS else self.failures + 1
        if self.process is not None:
            # nginx's worker would keep the port, and answer on it without a master.
            for orphan in members(self.process):
                orphan.send(signal.SIGKILL)
        self.process = None
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (self.failures - 1))
        self.due = now + delay
        return delay

    def send(self, number: signal.Signals) -> None:
        """Send a signal if it runs."""
        if self.process is not None:
            self.process.send(number)
