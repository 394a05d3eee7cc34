"""Claim, resolve, gate, act, and hand the outcome to `after_step`. Whatever happens in between is on record (I6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from datetime import timedelta
from typing import Final
from uuid import UUID

from common.claim_loop import Turn, left_behind
from common.core.lifecycle import Transition
from common.core.task import State, Task
from common.ports import Claim
from common.transitions import Settled

from .context import Means
from .effects import Effects
from .recorder import InlineRecorder, Recorder
from .steps import Steps

CHAINED: Final = 8  # claims of a turn at most: a wake that joined it should not wait for long
QUIET_MS: Final = 200  # from a claim that brought something to the look that asks what is due later


class Runner:
    """Runs claimed tasks. Effects go to a pool; a task's further steps follow in the thread that has it."""

    def __init__(
        self, means: Means, pool: Executor, recorder: Recorder | InlineRecorder, help_wanted: Callable[[], None]
    ) -> None:
        """`pool`: threads for effects. `recorder`: writes what happened. `help_wanted`: publishes a wake."""
        self._means = means
        self._recorder = recorder
        self._steps = Steps(means)
        self._effects = Effects(means, self._steps, pool, recorder, help_wanted)
        self._writing: tuple[Sequence[Settled], Future[frozenset[UUID]]] | None = None  # of the turns alone

    @property
    def idle(self) -> bool:
        """Whether no effect is under way."""
        return self._effects.idle

    def turn(self) -> Turn:
        """Claim and work it off: what needs no record here and now, effects in the pool."""
        means = self._means
        crowded = self._effects.crowded()
        if crowded is None:
            return Turn(claimed=0, done=self._under_way(), full=False, wake_in_ms=None)
        tasks = means.queue.claim(State.QUEUED, means.worker, means.claim_tasks, means.lease, crowded)
        if not tasks:
            done = self._under_way()
            return Turn(claimed=0, done=done, full=False, wake_in_ms=in_ms(means.queue.next_due(State.QUEUED)))
        claimed = done = 0
        full = False
        for more in reversed(range(CHAINED)):
            claimed += len(tasks)
            full = left_behind(tasks, means.claim_tasks)
            chained = bool(more) and len(tasks) >= means.several and not full
            ended, tasks = self._work_off(tasks, overlapping=full, chained=chained)
            done += ended
            if not tasks:
                break
        # whether more is due later is asked once it is quiet: now somebody may wait for what was written
        return Turn(claimed=claimed, done=done, full=full, wake_in_ms=None if full else QUIET_MS)

    def renew(self) -> None:
        """Every third of a lease: keep what is in hand and has not begun; drop what is somebody else's by now."""
        self._effects.renew()

    def stop(self, seconds: float) -> None:
        """Release what has not begun; wait for what has, at most so long."""
        deadline = self._means.clock.monotonic() + seconds
        self._effects.stop(seconds)
        self._recorder.stop(max(0.5, deadline - self._means.clock.monotonic()))

    def _work_off(self, tasks: Sequence[Task], *, overlapping: bool, chained: bool) -> tuple[int, list[Task]]:
        """How many transitions were applied, and what was claimed with the last ones.

        Args:
            tasks: what was claimed.
            overlapping: the last ones may be written during the next claim. That claim cannot see these tasks: they are
                running, under leases that are seconds old (I3).
            chained: the last ones are written in one commit with the next claim.
        """
        done, active = 0, list(tasks)
        while active:
            settled, wants, going = self._steps.advance(active)
            self._effects.dispatch(wants)
            if overlapping and settled and not going:
                done += self._under_way()
                self._writing = (settled, self._recorder.record(settled))
                break
            if chained and settled and not going and (crowded := self._effects.crowded()) is not None:
                applied, claimed = self._recorder.write_then_claim(settled, self._claim(crowded))
                return done + _transitions(settled, applied), claimed
            applied = self._recorder.write_now(settled) if settled else frozenset()
            done += _transitions(settled, applied)
            active = [task for task in going if task.id in applied]
        return done, []

    def _claim(self, without: frozenset[UUID]) -> Claim:
        means = self._means
        return Claim(
            state=State.QUEUED, worker=means.worker, limit=means.claim_tasks, lease=means.lease, without=without
        )

    def _under_way(self) -> int:
        """Wait for what is being written beside a claim: one batch at most. How many transitions were applied."""
        if self._writing is None:
            return 0
        (settled, written), self._writing = self._writing, None
        return _transitions(settled, written.result())


def _transitions(settled: Sequence[Settled], applied: frozenset[UUID]) -> int:
    return sum(1 for item in settled if isinstance(item, Transition) and item.task_id in applied)


def in_ms(soon: timedelta | None) -> int | None:
    """A duration as a wake's answer has it, rounded up so that the time has come."""
    return None if soon is None else int(soon.total_seconds() * 1000) + 1
