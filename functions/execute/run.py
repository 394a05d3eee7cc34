"""Claim, resolve, gate, act, and hand the outcome to `after_step`. Whatever happens in between is on record (I6)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from datetime import timedelta
from math import inf
from typing import Final
from uuid import UUID

from common.claim_loop import Turn, left_behind
from common.core.after_step import Began, Done, Limits, Outcome, after_step
from common.core.lifecycle import NextStep, Transition, move
from common.core.policy import Policy
from common.core.task import Effect, Json, State, Step, Task
from common.ports import Begun, NotBegun, Refusal
from common.telemetry import count_attempt, count_refusal
from common.transitions import Settled

from .context import Means, StepContext
from .prepare import ACTOR, Free, Want, after_refusal, prepare
from .recorder import InlineRecorder, Recorder

POLICY_SECONDS: Final = (
    1.0  # how long a policy is kept: the gate compares its version, so an older one only costs a round
)
POLICY_ROUNDS: Final = 3
QUIET_MS: Final = 200  # from a claim that brought something to the look that asks what is due later
LIMITS_SECONDS: Final = 1.0  # asking whether there is a key now is a look at a file


class Runner:
    """Runs claimed tasks. Effects go to a pool; a task's further steps follow in the thread that has it."""

    def __init__(
        self, means: Means, pool: Executor, recorder: Recorder | InlineRecorder, help_wanted: Callable[[], None]
    ) -> None:
        """`pool`: threads for effects. `recorder`: writes what happened. `help_wanted`: publishes a wake."""
        self._means = means
        self._pool = pool
        self._recorder = recorder
        self._help_wanted = help_wanted
        self._turned_away = False  # a turn found no free thread: whoever frees one says so
        self._writing: tuple[Sequence[Settled], Future[frozenset[UUID]]] | None = None  # of the turns alone
        self._policies: dict[UUID, tuple[float, Policy]] = {}
        self._known_limits = (-inf, Limits())
        self._unbegun: deque[Want] = deque()
        self._threads_free = means.effect_threads
        self._hand = threading.Lock()
        self._draining = False

    # --- one turn ---------------------------------------------------------------------------------------------------

    def turn(self) -> Turn:
        """Claim once and work it off: what needs no record here and now, effects in the pool."""
        with self._hand:
            busy = self._threads_free <= 0 or bool(self._unbegun) or self._draining
            self._turned_away = self._turned_away or busy
        if busy:
            return Turn(claimed=0, done=self._under_way(), full=False, wake_in_ms=None)
        means = self._means
        tasks = means.queue.claim(State.QUEUED, means.worker, means.claim_tasks, means.lease)
        full = left_behind(tasks, means.claim_tasks)
        done = self._work_off(tasks, overlapping=full) if tasks else self._under_way()
        if tasks:  # whether more is due later is asked once it is quiet: now somebody may wait for what was written
            return Turn(claimed=len(tasks), done=done, full=full, wake_in_ms=None if full else QUIET_MS)
        return Turn(claimed=0, done=done, full=False, wake_in_ms=in_ms(means.queue.next_due(State.QUEUED)))

    def _work_off(self, tasks: Sequence[Task], *, overlapping: bool) -> int:
        """How many transitions were applied. `overlapping`: the last ones may be written during the next claim.

        That claim cannot see these tasks: they are running, under leases that are seconds old (I3).
        """
        done, active = 0, list(tasks)
        while active:
            settled, wants, going = self._advance(active)
            self._dispatch(wants)
            if overlapping and settled and not going:
                done += self._under_way()
                self._writing = (settled, self._recorder.record(settled))
                break
            applied = self._recorder.write_now(settled) if settled else frozenset()
            done += _transitions(settled, applied)
            active = [task for task in going if task.id in applied]
        return done

    def _under_way(self) -> int:
        """Wait for what is being written beside a claim: one batch at most. How many transitions were applied."""
        if self._writing is None:
            return 0
        (settled, written), self._writing = self._writing, None
        return _transitions(settled, written.result())

    def _advance(self, tasks: Sequence[Task]) -> tuple[list[Settled], list[Want], list[Task]]:
        """One step of each: what is to be written, what wants to begin, and which tasks go on at once."""
        settled: list[Settled] = []
        wants: list[Want] = []
        ran: list[tuple[Free, Outcome]] = []
        for task in tasks:
            ready = self._prepare(task)
            if isinstance(ready, Want):
                wants.append(ready)
            elif isinstance(ready, Free):
                ran.append((ready, self._act(ready.task, ready.step, "", self._means.clock.monotonic() + FREE_SECONDS)))
            else:
                settled.append(ready)
        # Not each with its step: what runs by turns finds the processor's caches full of the other's code.
        going: list[Task] = []
        for free, outcome in ran:
            follows, after = self._settle(free.task, free.step, outcome, None)
            settled.append(follows)
            going += [after] if after else []
        return settled, wants, going

    def _prepare(self, task: Task, *, fresh: bool = False) -> Settled | Free | Want:
        means = self._means
        policy = self._policy(task.workspace, fresh=fresh)
        return prepare(task, policy, means.catalogue, self._limits(), means.clock.draw())

    def _settle(
        self, task: Task, step: Step, outcome: Outcome, begun: tuple[Want, Begun] | None
    ) -> tuple[Settled, Task | None]:
        """The outcome as what follows; with the task as it goes on, if it does."""
        effect = begun[0].effect if begun else Effect.NONE
        began = Began(step, effect, begun[1].number if begun else None)
        follows = after_step(task, began, outcome, self._limits(), self._means.clock.draw(), ACTOR)
        count_attempt(outcome)
        if isinstance(follows, NextStep) and isinstance(outcome, Done):
            return follows, task.after(step.id, outcome.output)
        return follows, None

    # --- effects ----------------------------------------------------------------------------------------------------

    def _dispatch(self, wants: Sequence[Want]) -> None:
        """Begin as many as there are free threads; the rest stays in hand, under a lease that is renewed."""
        with self._hand:
            late = self._draining  # `stop` has released what was there: this came after it
            self._unbegun.extend(() if late else wants)
        if late and wants:
            self._recorder.record([release(want.task) for want in wants])
        self._begin_waiting()

    def _begin_waiting(self) -> None:
        with self._hand:
            number = 0 if self._draining else min(self._threads_free, len(self._unbegun))
            taken = [self._unbegun.popleft() for _ in range(number)]
            self._threads_free -= number
        if not taken:
            return
        begun: list[tuple[Want, Begun, float]] = []
        try:
            begun = self._begin(taken)
            for want, started, ends_at in begun:
                self._pool.submit(self._carry, want, started, ends_at)
        finally:
            self._free(len(taken) - len(begun))

    def _free(self, threads: int) -> None:
        with self._hand:
            self._threads_free += threads
            begin = bool(threads and self._unbegun) and not self._draining
            call = bool(threads and self._turned_away) and not begin
            self._turned_away = self._turned_away and not call
        if begin:
            self._begin_waiting()
        elif call:
            self._help_wanted()

    def _begin(self, wants: Sequence[Want]) -> list[tuple[Want, Begun, float]]:
        """The gate, for a batch. What it refuses is settled here; what it returns must run."""
        begun: list[tuple[Want, Begun, float]] = []
        settled: list[Settled] = []
        for _ in range(POLICY_ROUNDS):
            asked_at = self._means.clock.monotonic()
            again: list[Want] = []
            for want, answer in zip(wants, self._means.queue.begin([w.begin for w in wants]), strict=True):
                if isinstance(answer, Begun):
                    begun.append((want, answer, asked_at + answer.must_end_in.total_seconds()))
                    continue
                self._refused(want, answer, again, settled)
            wants = again
            if not wants:
                break
        settled += [t for w in wants if (t := after_refusal(w, Refusal.POLICY_CHANGED, self._policy(w.task.workspace)))]
        if settled:
            self._recorder.record(settled)
        return begun

    def _refused(self, want: Want, answer: NotBegun, again: list[Want], settled: list[Settled]) -> None:
        count_refusal(answer.why)
        if answer.why is Refusal.POLICY_CHANGED:
            ready = self._prepare(want.task, fresh=True)
            if isinstance(ready, Want):
                again.append(ready)
                return
            # Policy may turn an effect into a question, never into something free.
            follows = None if isinstance(ready, Free) else ready
        else:
            follows = after_refusal(want, answer.why, self._policy(want.task.workspace))
        settled += [follows] if follows else []

    def _carry(self, want: Want, begun: Begun, ends_at: float) -> None:
        """In a thread of the pool: run the attempt, record it, and go on with the task's further steps."""
        try:
            while True:
                outcome = self._act(want.task, want.step, want.begin.idempotency_key, ends_at)
                follows, task = self._settle(want.task, want.step, outcome, (want, begun))
                written = self._recorder.record([follows])
                going = task is not None and written.result() and self._carry_on(task)
                if not going:
                    return
                want, begun, ends_at = going
        finally:
            self._free(1)

    def _carry_on(self, task: Task) -> tuple[Want, Begun, float] | None:
        """The next step that has an effect, begun; free ones before it are run and recorded here."""
        going: Task | None = task
        while going is not None:
            if self._draining:
                self._recorder.record([release(going)])
                return None
            settled, wants, after = self._advance([going])
            if wants:
                return next(iter(self._begin(wants)), None)
            applied = self._recorder.write_now(settled)
            going = after[0] if after and applied else None
        return None

    def _act(self, task: Task, step: Step, key: str, ends_at: float) -> Outcome:
        means = self._means
        policy = self._policy(task.workspace)
        ctx = StepContext(task, policy, key, ends_at, means.clock, means.http, means.model)
        limit = means.result_bytes
        kept = sum(_size(attempt.output, limit) for attempt in task.trail if attempt.output is not None)
        return kept_small(means.catalogue.run(step, ctx), min(limit, max(0, RESULTS_OF_A_TASK * limit - kept)))

    # --- leases, policy, drain --------------------------------------------------------------------------------------

    def renew(self) -> None:
        """Every third of a lease: keep what is in hand and has not begun; drop what is somebody else's by now."""
        with self._hand:
            held = [(w.task.id, w.task.lease_no) for w in self._unbegun]
        if not held:
            return
        kept = self._means.queue.renew(held, self._means.lease)
        with self._hand:
            # Only what was asked about: more may have been put there meanwhile.
            lost = {task for task, _ in held} - kept
            self._unbegun = deque(w for w in self._unbegun if w.task.id not in lost)

    def stop(self, seconds: float) -> None:
        """Release what has not begun; wait for what has, at most so long."""
        with self._hand:
            self._draining = True
            left, self._unbegun = list(self._unbegun), deque()
        if left:
            self._recorder.record([release(w.task) for w in left])
        deadline = self._means.clock.monotonic() + seconds
        while self._threads_free < self._means.effect_threads and self._means.clock.monotonic() < deadline:
            threading.Event().wait(0.02)
        self._recorder.stop(max(0.5, deadline - self._means.clock.monotonic()))

    def _limits(self) -> Limits:
        now = self._means.clock.monotonic()
        if self._known_limits[0] < now:
            self._known_limits = (now + LIMITS_SECONDS, self._means.limits())
        return self._known_limits[1]

    def _policy(self, workspace: UUID, *, fresh: bool = False) -> Policy:
        now = self._means.clock.monotonic()
        known = self._policies.get(workspace)
        if known is None or fresh or known[0] < now:
            known = (now + POLICY_SECONDS, self._means.workspace.policy(workspace))
            self._policies[workspace] = known
        return known[1]


# A claim brings all results of a hundred tasks: without a bound for each, 12 tasks of 50 MB took 1.4 GB and 30 s.
RESULTS_OF_A_TASK: Final = 8  # times the limit of one result
FREE_SECONDS: Final = 30.0  # a step without effect that takes longer is a mistake of its action


def _transitions(settled: Sequence[Settled], applied: frozenset[UUID]) -> int:
    return sum(1 for item in settled if isinstance(item, Transition) and item.task_id in applied)


def in_ms(soon: timedelta | None) -> int | None:
    """A duration as a wake's answer has it, rounded up so that the time has come."""
    return None if soon is None else int(soon.total_seconds() * 1000) + 1


def release(task: Task) -> Transition:
    """Back to the queue, at no cost: this process is told to stop."""
    return move(task, "released", State.QUEUED, timedelta(0), ACTOR)


def kept_small(outcome: Outcome, limit: int) -> Outcome:
    """A result over the inline limit is done, not kept, and a person looks: never "not done"."""
    if isinstance(outcome, Done) and _size(outcome.output, limit) > limit:
        return Done(too_large=True)
    return outcome


def _size(value: Json, limit: int) -> int:
    """Roughly the bytes of its JSON; stops counting past the limit."""
    if isinstance(value, str):
        return len(value) if len(value) > limit else len(value.encode(errors="replace"))
    if isinstance(value, list):
        total = 0
        for item in value:
            total += 1 + _size(item, limit)
            if total > limit:
                break
        return total
    if isinstance(value, dict):
        return _size([*value, *value.values()], limit)
    return 8
