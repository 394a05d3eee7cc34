"""The loop that every function runs when it is woken: claim and work until nothing is due, one loop a process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from common.api import WakeAnswer
from common.core.errors import Unavailable
from common.core.task import Task
from common.ports import Clock
from common.telemetry import count_turn

# Calls for help closer together than this say nothing new: whoever heard the first one makes full claims of its own.
HELP_GAP: Final = 0.1  # seconds


@dataclass(frozen=True, slots=True)
class Turn:
    """One claim and what became of it."""

    claimed: int = 0
    done: int = 0
    full: bool = False  # it may have left due work behind: it claimed as much as it asked for
    wake_in_ms: int | None = None  # when something will be due, if that is known


def left_behind(tasks: Sequence[Task], limit: int) -> bool:
    """Whether a claim may have left due work: it took all that it asked for, or shares of it for several workspaces."""
    return len(tasks) >= limit or len({task.workspace for task in tasks}) > 1 or 2 * len(tasks) >= limit


class ClaimLoop:
    """Takes turns until a claim that began after the last wake has left nothing behind. Any thread may call it.

    No wake is lost: one that finds a loop running leaves a flag, under the lock under which the loop decides to end,
    and the flag is taken down before a claim begins, never after. So what was committed before a wake is seen by a
    claim.
    """

    def __init__(self, turn: Callable[[], Turn], clock: Clock, help_wanted: Callable[[], None]) -> None:
        """`turn` claims once and works it off. `help_wanted` publishes a wake, so that others help; must not raise."""
        self._turn = turn
        self._clock = clock
        self._help_wanted = help_wanted
        self._lock = threading.Lock()
        self._running = False
        self._woken = False  # a wake joined since the present claim began
        self._draining = False
        self._called_at = -inf

    def joined(self) -> bool:
        """Serve a wake by a loop that runs, which then claims once more; False: none does. Does not block."""
        with self._lock:
            self._woken = self._woken or self._running
            return self._running

    def run(self, budget_seconds: float) -> WakeAnswer | None:
        """Serve a wake; None if it joined a loop that runs, which then claims once more.

        After `budget_seconds` no further turn begins; if work may be left, a wake is published and `more` is true.
        Raises Unavailable while draining (the wake belongs to another replica), and whatever a turn raises.
        """
        with self._lock:
            if self._running:
                self._woken = True
                return None
            if self._draining:
                raise Unavailable("this replica is stopping")
            self._running = True
        try:
            return self._loop(self._clock.monotonic() + budget_seconds)
        except BaseException:
            # The caller is told by the error and wakes again; those that joined were told "yes" and are owed a look.
            if self._end():
                self._help_wanted()
            raise

    def drain(self) -> None:
        """Begin no further turn. A turn under way is worked off by whoever waits for it."""
        with self._lock:
            self._draining = True

    @property
    def running(self) -> bool:
        """Whether a turn is under way or about to begin."""
        with self._lock:
            return self._running

    def _loop(self, until: float) -> WakeAnswer:
        claimed = done = 0
        look_at = inf
        while True:
            with self._lock:
                self._woken = False  # before the claim: what is committed from here on raises it again
            began = self._clock.monotonic()
            turn = self._turn()
            now = self._clock.monotonic()
            count_turn(turn.claimed, now - began)
            claimed += turn.claimed
            done += turn.done
            if turn.wake_in_ms is not None:
                look_at = min(look_at, now + turn.wake_in_ms / 1000)
            if turn.full:
                self._call(now)
            ended, left = self._may_end(full=turn.full, spent=now >= until)
            if ended:
                break
        if left:
            self._help_wanted()
        wake_in = None if look_at == inf else max(0, round((look_at - self._clock.monotonic()) * 1000))
        return WakeAnswer(claimed=claimed, done=done, more=left, wake_in_ms=wake_in)

    def _may_end(self, *, full: bool, spent: bool) -> tuple[bool, bool]:
        """(ended, with work that may be left). Decided under the lock: a wake after it starts a loop of its own."""
        with self._lock:
            left = full or self._woken
            if left and not spent and not self._draining:
                return False, True
            self._running = False
            return True, left

    def _end(self) -> bool:
        """End after an error; whether a wake had joined."""
        with self._lock:
            self._running = False
            return self._woken

    def _call(self, now: float) -> None:
        if now - self._called_at >= HELP_GAP:
            self._called_at = now
            self._help_wanted()
