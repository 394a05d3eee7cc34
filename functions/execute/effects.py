"""Effects: threads that the workspaces share, the gate before each attempt, and a task's further steps behind it."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Final
from uuid import UUID

from common.core.lifecycle import Transition, move
from common.core.task import State, Task
from common.ports import Begun, NotBegun, Refusal
from common.telemetry import count_refusal
from common.transitions import Settled

from .context import Means
from .prepare import ACTOR, AT_ONCE, Free, Want, after_refusal
from .recorder import InlineRecorder, Recorder
from .shares import begin_now
from .steps import Steps

POLICY_ROUNDS: Final = 3


class Effects:
    """Begins what the gate lets begin, in a pool. What finds no thread waits in hand, under a lease that is renewed."""

    def __init__(
        self,
        means: Means,
        steps: Steps,
        pool: Executor,
        recorder: Recorder | InlineRecorder,
        help_wanted: Callable[[], None],
    ) -> None:
        """See Runner."""
        self._means = means
        self._steps = steps
        self._pool = pool
        self._recorder = recorder
        self._help_wanted = help_wanted
        self._hand = threading.Lock()  # over all that follows
        self._waiting: deque[Want] = deque()
        self._held: Counter[UUID] = Counter()  # threads, by workspace
        self._threads_free = means.effect_threads
        self._draining = False
        self._turned_away = False  # a turn found no free thread
        self._left_out: set[UUID] = set()  # a claim left their tasks to whoever has threads: theirs wait here

    @property
    def idle(self) -> bool:
        """Whether no effect is under way."""
        with self._hand:
            return self._threads_free == self._means.effect_threads

    def crowded(self) -> frozenset[UUID] | None:
        """Whose tasks are not to be claimed now, as theirs wait for threads here already; None: nobody's are.

        Whoever frees a thread then publishes a wake.
        """
        with self._hand:
            if self._threads_free <= 0 or self._draining:
                self._turned_away = True
                return None
            crowded = frozenset(want.task.workspace for want in self._waiting)
            self._left_out |= crowded
            return crowded

    def dispatch(self, wants: Sequence[Want]) -> None:
        """Begin as many as there are threads for them; the rest stays in hand."""
        with self._hand:
            late = self._draining  # `stop` has released what was there: this came after it
            self._waiting.extend(() if late else wants)
        if late and wants:
            self._recorder.record([release(want.task) for want in wants])
        self._begin_waiting()

    def renew(self) -> None:
        """Every third of a lease: keep what is in hand and has not begun; drop what is somebody else's by now."""
        with self._hand:
            held = [(w.task.id, w.task.lease_no) for w in self._waiting]
        if not held:
            return
        kept = self._means.queue.renew(held, self._means.lease)
        with self._hand:
            # Only what was asked about: more may have been put there meanwhile.
            lost = {task for task, _ in held} - kept
            self._waiting = deque(w for w in self._waiting if w.task.id not in lost)

    def stop(self, seconds: float) -> None:
        """Release what has not begun; wait for what has, at most so long."""
        with self._hand:
            self._draining = True
            left, self._waiting = list(self._waiting), deque()
        if left:
            self._recorder.record([release(w.task) for w in left])
        deadline = self._means.clock.monotonic() + seconds
        while not self.idle and self._means.clock.monotonic() < deadline:
            threading.Event().wait(0.02)

    # --- threads ----------------------------------------------------------------------------------------------------

    def _begin_waiting(self) -> None:
        taken = self._take()
        if not taken:
            return
        begun: list[tuple[Want, Begun, float]] = []
        try:
            begun = self._begin(taken)
            for want, started, ends_at in begun:
                self._pool.submit(self._carry, want, started, ends_at)
        finally:
            left = Counter(want.task.workspace for want in taken)
            left.subtract(want.task.workspace for want, _, _ in begun)
            self._free(left.elements())

    def _take(self) -> list[Want]:
        """Those that begin now, with their threads."""
        with self._hand:
            if self._draining or not self._waiting:
                return []
            places = begin_now([want.task.workspace for want in self._waiting], self._held, self._threads_free)
            taken = [self._waiting[place] for place in places]
            chosen = set(places)
            self._waiting = deque(want for place, want in enumerate(self._waiting) if place not in chosen)
            self._held.update(want.task.workspace for want in taken)
            self._threads_free -= len(taken)
            return taken

    def _free(self, workspaces: Iterable[UUID]) -> None:
        """Threads come back, one for each."""
        with self._hand:
            back = Counter(workspaces)
            self._held -= back
            self._threads_free += back.total()
        if back:
            self._begin_waiting()
            self._call_back()

    def _call_back(self) -> None:
        """Have those looked for again that a turn left in the queue, once they would find a thread."""
        with self._hand:
            waiting = {want.task.workspace for want in self._waiting}
            call = self._threads_free > 0 and (self._turned_away or not self._left_out <= waiting)
            if call:
                self._turned_away = False
                self._left_out &= waiting
        if call:
            self._help_wanted()

    # --- attempts ---------------------------------------------------------------------------------------------------

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
        policy = self._steps.policy
        settled += [t for w in wants if (t := after_refusal(w, Refusal.POLICY_CHANGED, policy(w.task.workspace)))]
        if settled:
            self._recorder.record(settled)
        return begun

    def _refused(self, want: Want, answer: NotBegun, again: list[Want], settled: list[Settled]) -> None:
        count_refusal(answer.why)
        if answer.why is Refusal.POLICY_CHANGED:
            ready = self._steps.prepare(want.task, fresh=True)
            if isinstance(ready, Want):
                again.append(ready)
                return
            # Policy may turn an effect into a question, never into something free.
            follows = None if isinstance(ready, Free) else ready
        else:
            follows = after_refusal(want, answer.why, self._steps.policy(want.task.workspace))
        settled += [follows] if follows else []

    def _carry(self, want: Want, begun: Begun, ends_at: float) -> None:
        """In a thread of the pool: run the attempt, record it, and go on with the task's further steps."""
        workspace = want.task.workspace
        try:
            while True:
                outcome = self._steps.act(want.task, want.step, want.begin.idempotency_key, ends_at)
                follows, task = self._steps.settle(want.task, want.step, outcome, (want, begun))
                written = self._recorder.record([follows])
                going = task is not None and written.result() and self._carry_on(task)
                if not going:
                    return
                want, begun, ends_at = going
        finally:
            self._free([workspace])

    def _carry_on(self, task: Task) -> tuple[Want, Begun, float] | None:
        """The next step that has an effect, begun; free ones before it are run and recorded here."""
        going: Task | None = task
        while going is not None:
            if self._draining:
                self._recorder.record([release(going)])
                return None
            settled, wants, after = self._steps.advance([going])
            if wants:
                return next(iter(self._begin(wants)), None)
            applied = self._recorder.write_now(settled)
            going = after[0] if after and applied else None
        return None


def release(task: Task) -> Transition:
    """Back to the queue, at no cost: this process is told to stop."""
    return move(task, "released", State.QUEUED, AT_ONCE, ACTOR)
