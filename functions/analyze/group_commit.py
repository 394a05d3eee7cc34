"""Many requests, one INSERT, one wake. A task is acknowledged only once its row is committed (I1)."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from common.core.errors import Unavailable
from common.ports import Added, AddRefused, Notifier, Queue, Submission, wakes_of
from common.telemetry import log_death


@dataclass(frozen=True, slots=True)
class _Waiting:
    submission: Submission
    answered: asyncio.Future[Added | AddRefused]


class GroupCommit:
    """One committer thread; while it writes one batch, the next gathers."""

    def __init__(self, queue: Queue, notifier: Notifier, tasks_max: int = 2000) -> None:
        """`tasks_max`: how many tasks one statement takes at most; a larger gathering is written in turns."""
        self._queue = queue
        self._notifier = notifier
        self._tasks_max = tasks_max
        self._arrived: list[_Waiting] = []  # of the loop alone, until its turn ends
        self._gathered: list[_Waiting] = []
        self._filled = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    async def add(self, submission: Submission) -> Added | AddRefused:
        """Store it with whatever else is waiting. StoreUnavailable."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Added | AddRefused] = loop.create_future()
        self._arrived.append(_Waiting(submission, answered))
        if len(self._arrived) == 1:
            # Not before what else is ready now has been read: the thread would compete with it, and write one alone.
            loop.call_soon(self._hand_over)
        return await answered

    def _hand_over(self) -> None:
        with self._filled:
            self._gathered += self._arrived
            self._filled.notify()
        self._arrived.clear()

    def stop(self) -> None:
        """Write what has been handed in, then end."""
        with self._filled:
            self._stopping = True
            self._filled.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while batch := self._take():
                self._write(batch)
        except BaseException as exc:  # noqa: BLE001 - without this thread every POST would hang: the process must end
            log_death("group-commit", exc)
            os.kill(os.getpid(), signal.SIGTERM)

    def _take(self) -> list[_Waiting]:
        with self._filled:
            while not self._gathered and not self._stopping:
                self._filled.wait()
            taken, tasks = 0, 0
            for waiting in self._gathered:
                tasks += len(waiting.submission.tasks)
                if taken and tasks > self._tasks_max:
                    break
                taken += 1
            batch, self._gathered = self._gathered[:taken], self._gathered[taken:]
            return batch

    def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            answers = self._queue.add([w.submission for w in batch])
        except Unavailable as exc:
            _fail(batch, exc)
        except Exception as exc:  # noqa: BLE001 - one that PostgreSQL cannot hold must not fail its neighbours
            if len(batch) == 1:
                _fail(batch, exc)
            for waiting in batch if len(batch) > 1 else ():
                self._write([waiting])
        else:
            self._wake(batch, answers)
            _answer(batch, answers)

    def _wake(self, batch: Sequence[_Waiting], answers: Sequence[Added | AddRefused]) -> None:
        new = [w.submission for w, a in zip(batch, answers, strict=True) if isinstance(a, Added) and not a.replayed]
        states = {task.target for submission in new for task in submission.tasks}
        if states:
            self._notifier.publish(wakes_of(list(states)))


def _answer(batch: Sequence[_Waiting], answers: Sequence[Added | AddRefused | BaseException]) -> None:
    """Wake the event loop once for the whole batch: each call from this thread costs it a turn."""
    futures = [waiting.answered for waiting in batch]
    futures[0].get_loop().call_soon_threadsafe(_set_all, futures, answers)


def _set_all(
    futures: Sequence[asyncio.Future[Added | AddRefused]], answers: Sequence[Added | AddRefused | BaseException]
) -> None:
    for future, answer in zip(futures, answers, strict=True):
        _set(future, answer)


def _set(future: asyncio.Future[Added | AddRefused], answer: Added | AddRefused | BaseException) -> None:
    if future.done():  # the client went away; what was committed stays committed
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _fail(batch: Sequence[_Waiting], exc: BaseException) -> None:
    _answer(batch, [exc] * len(batch))
