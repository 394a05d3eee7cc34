"""Flushes what happened within milliseconds: outcomes and transitions of many tasks in one statement."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, TypeVar
from uuid import UUID

from common.core.errors import Unavailable
from common.core.task import Task
from common.ports import Changes, Claim, Notifier
from common.transitions import Settled, write, write_then_claim

T = TypeVar("T")

AGAIN_FIRST: Final = 0.05  # seconds until an unreachable database is tried again
AGAIN_LONGEST: Final = 2.0


class Recorder:
    """One thread that writes; whoever records waits on a future or goes on.

    What was recorded while the database is away is kept and sent again: a batch sent twice applies nothing twice.
    """

    def __init__(self, queue: Changes, notifier: Notifier, every: float, housekeeping: Callable[[], None]) -> None:
        """`housekeeping` is called every `every` seconds (leases of tasks in hand)."""
        self._queue = queue
        self._notifier = notifier
        self._every = every
        self._housekeeping = housekeeping
        self._pending: list[tuple[Sequence[Settled], Future[frozenset[UUID]]]] = []
        self._filled = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._write_on, name="recorder", daemon=True)
        self._thread.start()

    def record(self, batch: Sequence[Settled]) -> Future[frozenset[UUID]]:
        """Hand in; a task is in one batch at a time, since only its worker speaks for it."""
        future: Future[frozenset[UUID]] = Future()
        with self._filled:
            self._pending.append((batch, future))
            self._filled.notify()
        return future

    def write_now(self, batch: Sequence[Settled]) -> frozenset[UUID]:
        """In the caller's own thread, which would only wait: what is written does not change hands."""
        nothing: frozenset[UUID] = frozenset()
        return self._until_it_answers(lambda: write(self._queue, self._notifier, batch), nothing)

    def write_then_claim(self, batch: Sequence[Settled], claim: Claim) -> tuple[frozenset[UUID], list[Task]]:
        """The same, and what is claimed in the same commit."""
        nothing: tuple[frozenset[UUID], list[Task]] = (frozenset(), [])
        return self._until_it_answers(lambda: write_then_claim(self._queue, self._notifier, batch, claim), nothing)

    def stop(self, seconds: float) -> None:
        """Write what is left, at most so long."""
        with self._filled:
            self._stopping = True
            self._filled.notify()
        self._thread.join(seconds)

    def _write_on(self) -> None:
        looked = time.monotonic()
        while True:
            with self._filled:
                while not self._pending and not self._stopping and time.monotonic() < looked + self._every:
                    self._filled.wait(max(0.0, looked + self._every - time.monotonic()))
                taken, self._pending = self._pending, []
                if not taken and self._stopping:
                    return
            if taken:
                self._flush(taken)
            if time.monotonic() >= looked + self._every:
                looked = time.monotonic()
                self._keep_house()

    def _keep_house(self) -> None:
        try:
            self._housekeeping()
        except Unavailable:
            return  # the leases run out and rescue takes over: that is what they are for

    def _flush(self, taken: list[tuple[Sequence[Settled], Future[frozenset[UUID]]]]) -> None:
        try:
            applied = self.write_now([item for items, _ in taken for item in items])
        except Exception as exc:  # noqa: BLE001 - whoever waits must learn of it; the thread must live on
            for _, future in taken:
                future.set_exception(exc)
            return
        for _, future in taken:
            future.set_result(applied)

    def _until_it_answers(self, work: Callable[[], T], otherwise: T) -> T:
        pause = AGAIN_FIRST
        while True:
            try:
                return work()
            except Unavailable:
                if self._stopping:
                    return otherwise  # rescue decides, by what is on record
                time.sleep(pause)
                pause = min(pause * 2, AGAIN_LONGEST)


class InlineRecorder:
    """The same without a thread: written at once. What a single-threaded caller (the simulator) uses."""

    def __init__(self, queue: Changes, notifier: Notifier) -> None:
        """See Recorder."""
        self._queue = queue
        self._notifier = notifier

    def record(self, batch: Sequence[Settled]) -> Future[frozenset[UUID]]:
        """See Recorder."""
        future: Future[frozenset[UUID]] = Future()
        future.set_result(write(self._queue, self._notifier, batch))
        return future

    def write_now(self, batch: Sequence[Settled]) -> frozenset[UUID]:
        """See Recorder."""
        return write(self._queue, self._notifier, batch)

    def write_then_claim(self, batch: Sequence[Settled], claim: Claim) -> tuple[frozenset[UUID], list[Task]]:
        """See Recorder."""
        return write_then_claim(self._queue, self._notifier, batch, claim)

    def stop(self, seconds: float) -> None:
        """Nothing is ever left."""
