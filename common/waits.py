"""Requests that wait for tasks to settle (`?wait=`). One thread a process looks for all of them, one statement a look.

It looks when a wake says that something finished, and by itself, since a wake may be late or reach another replica:
first as soon as a task can be through, then after every further quarter of the wait, at least once a second. While
nobody waits it sleeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final
from uuid import UUID

from common.core.errors import Unavailable
from common.ports import Reads, TaskRecord
from common.telemetry import log_stranger

FIRST_LOOK: Final = 0.003  # seconds into a wait: sooner no task is through (measured)
LONGEST_PAUSE: Final = 1.0
SHARE: Final = 0.25  # of a wait's age: so much later than it might a task be seen that no wake told of
FEW: Final = 4  # so many that settled at once are read here; more read themselves, beside each other


@dataclass(eq=False, slots=True)
class Wait:
    """One request that waits. Of the looking thread, but for `future`, which is its loop's."""

    workspace: UUID
    left: set[UUID]
    since: float  # on the monotonic clock, as is `look_at`
    look_at: float
    future: asyncio.Future[TaskRecord | None]
    alone: UUID | None = None  # it waits for this task alone, and is given it


def next_look(since: float, now: float) -> float:
    """When to look again for a wait that began at `since` and was looked at `now`."""
    return now + min(LONGEST_PAUSE, max(FIRST_LOOK * SHARE, (now - since) * SHARE))


def look_at(waits: Collection[Wait], looked: float, took: float, *, woken: bool) -> float:
    """When to look next: told by a wake, or else at the earliest time of a wait; inf if nobody waits.

    Looking stays a bounded share of the process's time: after a look it rests as long as that took, and by the clock
    for so long as each of the waits had taken it; where many wait, wakes tell enough.
    """
    if not waits:
        return inf
    if woken:
        return looked + took
    return max(min(wait.look_at for wait in waits), looked + took * len(waits))


class Waits:
    """Of one process. Its thread starts with the first wait, so after a fork."""

    def __init__(self, reads: Reads, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`reads`: where the waited tasks are looked at."""
        self._reads = reads
        self._monotonic = monotonic
        self._waits: set[Wait] = set()
        self._changed = threading.Condition()  # guards all that is here
        self._woken = False
        self._ended = False
        self._thread: threading.Thread | None = None

    def woken(self) -> None:
        """Something finished somewhere: look now. From any thread."""
        if self._waits:
            with self._changed:
                self._woken = True
                self._changed.notify()

    def end(self) -> None:
        """Answer everybody as things stand: the process is about to stop. From any thread."""
        with self._changed:
            self._ended = True
            self._changed.notify()
            for wait in self._waits:
                _answer(wait, None)

    async def settled(self, workspace: UUID, tasks: Sequence[UUID], seconds: float) -> TaskRecord | None:
        """Return once each is terminal, waits for approval or for a person; or when the time is over.

        A single task is returned as it was found settled, where that is known: the caller need not read it again.
        """
        loop = asyncio.get_running_loop()
        now = self._monotonic()
        # The first look also finds what settled before it was waited for: an event in between is not lost.
        wait = Wait(workspace, set(tasks), now, now + FIRST_LOOK, loop.create_future())
        wait.alone = tasks[0] if len(tasks) == 1 else None
        with self._changed:
            if self._ended:
                return None
            self._waits.add(wait)
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep_looking, name="waits", daemon=True)
                self._thread.start()
            self._changed.notify()
        over = loop.call_later(seconds, _set, wait.future, None)
        try:
            return await wait.future
        finally:
            over.cancel()
            with self._changed:
                self._waits.discard(wait)

    # --- the thread -------------------------------------------------------------------------------------------------

    def _keep_looking(self) -> None:
        looked = took = 0.0
        while due := self._next(looked, took):
            began = self._monotonic()
            try:
                with contextlib.suppress(Unavailable):  # the next look is a second away at most
                    self._look(due)
            except Exception as exc:  # noqa: BLE001 - one bad look must not end those of everybody after it
                log_stranger("waits", exc)
            looked = self._monotonic()
            took = looked - began

    def _next(self, looked: float, took: float) -> list[Wait]:
        """Sleep until somebody is to be looked for: those. Empty: at the end."""
        with self._changed:
            while not self._ended:
                now = self._monotonic()
                at = look_at(self._waits, looked, took, woken=self._woken)
                if at <= now:
                    due = [wait for wait in self._waits if self._woken or wait.look_at <= now]
                    self._woken = False
                    for wait in due:
                        wait.look_at = next_look(wait.since, now)
                    return due
                self._changed.wait(None if at == inf else at - now)
            return []

    def _look(self, due: Sequence[Wait]) -> None:
        if len(due) == 1 and due[0].alone is not None:
            record = self._reads.settled_task(due[0].workspace, due[0].alone)
            if record is not None:
                _answer(due[0], record)
            return
        found = self._reads.settled(list({task for wait in due for task in wait.left}))
        over: list[Wait] = []
        for wait in due:
            wait.left -= found
            if not wait.left:
                over.append(wait)
        for wait in over:
            _answer(wait, self._record(wait) if len(over) <= FEW else None)

    def _record(self, wait: Wait) -> TaskRecord | None:
        if wait.alone is None:
            return None
        with contextlib.suppress(Unavailable):  # whoever waits reads it and learns why
            return self._reads.settled_task(wait.workspace, wait.alone)
        return None


def _answer(wait: Wait, record: TaskRecord | None) -> None:
    """From another thread than the loop's."""
    loop = wait.future.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(_set, wait.future, record)


def _set(future: asyncio.Future[TaskRecord | None], record: TaskRecord | None) -> None:
    if not future.done():
        future.set_result(record)
