"""One random history through both adapters, step by step: the same answers, and the same end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Final

import pytest

from common.core.lifecycle import NextStep, Transition, move
from common.core.task import Effect, Risk, State, Task
from common.ports import Begun
from tests.contract.ground import (
    LEASE,
    Ground,
    done,
    gave_up,
    lease_lost,
    not_done,
    retry,
    succeeded,
    unknown,
)
from tests.contract.in_memory import over_memory

MOVES: Final = 150
SPANS: Final = (10, 40, 70, 4000)  # seconds


class Player:
    """Plays a seeded history on one ground; says what it saw in words that do not depend on ids or times."""

    def __init__(self, ground: Ground, seed: int) -> None:
        """Everything is drawn from the seed, nothing from the ground."""
        self.ground = ground
        self.random = Random(seed)
        self.tasks: list[Task] = []
        self.old: list[Transition | NextStep] = []
        self.seen: list[str] = []

    def play(self) -> list[str]:
        """The whole of it."""
        often = (self.submit, self.claim, self.claim, self.begin, self.end, self.rescue, self.decide, self.elapse)
        moves: tuple[Callable[[], str], ...] = (*often, *often, self.cancel, self.pause, self.again)
        for _ in range(MOVES):
            made = self.random.choice(moves)
            self.seen.append(f"{made.__name__}: {made()}")
        return self.seen

    def picked(self, *states: State) -> Task | None:
        """One of the tasks that are in such a state now; drawn in any case."""
        place = self.random.randrange(1000)
        now = [self.ground.get(task.id) for task in self.tasks]
        fitting = [task for task in now if not states or task.state in states]
        return fitting[place % len(fitting)] if fitting else None

    def submit(self) -> str:
        """One of three kinds."""
        target = self.random.choice((State.RECEIVED, State.QUEUED, State.AWAITING_APPROVAL))
        self.tasks.append(self.ground.submit(target, priority=self.random.choice((1, 5, 9))))
        return target

    def claim(self) -> str:
        """Two at most, of either queue."""
        state = self.random.choice((State.RECEIVED, State.QUEUED, State.QUEUED, State.QUEUED))
        claimed = self.ground.queue.claim(state, "w", 2, LEASE)
        return ",".join(sorted(str(self.number(task)) for task in claimed))

    def number(self, task: Task) -> int:
        """Which one it was."""
        return next(n for n, known in enumerate(self.tasks) if known.id == task.id)

    def begin(self) -> str:
        """The gate."""
        effect = self.random.choice((Effect.IDEMPOTENT, Effect.NON_IDEMPOTENT))
        outgrown = self.random.random() < 0.4
        task = self.picked(State.RUNNING)
        if task is None or task.plan is None:
            return "-"
        risk = Risk.CRITICAL if outgrown else task.plan.risk
        answer = self.ground.begin(task, effect=effect, risk=risk)
        return f"number {answer.number}" if isinstance(answer, Begun) else answer.why

    def end(self) -> str:
        """The outcome of an open attempt, or of a step without effect."""
        outcome = self.random.choice((done, not_done, unknown))
        follow = self.random.choice((retry, succeeded, gave_up, "next"))
        task = self.picked(State.RUNNING)
        if task is None:
            return "-"
        open_ = next((a for a in task.trail if a.outcome is None), None)
        if open_ is None and (task.done or task.unknown_effect):
            return "nothing open"  # a step that is done or unknown is not done again without a begin
        ended = outcome("one", None if open_ is None else open_.number)
        if follow == "next":
            return self.apply(NextStep(task_id=task.id, lease_no=task.lease_no, ended=done("one", ended.number)))
        return self.apply(follow(task, ended=ended))  # type: ignore[operator]  # "next" is answered above

    def apply(self, change: Transition | NextStep) -> str:
        """And remember it: it may arrive again."""
        self.old.append(change)
        return f"applied {self.ground.apply(change)}"

    def again(self) -> str:
        """An old batch arrives once more."""
        place = self.random.randrange(1000)
        return f"applied {self.ground.apply(self.old[place % len(self.old)])}" if self.old else "-"

    def rescue(self) -> str:
        """Maintenance, of one that is due."""
        due = sorted(self.ground.queue.due(100), key=self.number)
        place = self.random.randrange(1000)
        if not due:
            return "-"
        task = due[place % len(due)]
        if task.state is not State.RUNNING:
            return f"{self.number(task)} {task.state}"
        open_ = next((a for a in task.trail if a.outcome is None), None)
        return self.apply(lease_lost(task, None if open_ is None else unknown("one", open_.number)))

    def decide(self) -> str:
        """A person."""
        verdict = self.random.choice(("approved", "approved", "rejected"))
        task = self.picked(State.AWAITING_APPROVAL)
        if task is None:
            return "-"
        return f"{verdict} {self.ground.decide(task, verdict)}"

    def elapse(self) -> str:
        """Time."""
        span = timedelta(seconds=self.random.choice(SPANS))
        self.ground.elapse(span)
        return str(span)

    def cancel(self) -> str:
        """A request, or a transition."""
        task = self.picked(State.RECEIVED, State.ANALYZING, State.QUEUED, State.RUNNING, State.MANUAL)
        if task is None:
            return "-"
        if self.ground.queue.request_cancel(self.ground.home, task.id, None, "person"):
            return "asked"
        return self.apply(move(task, "cancelled", State.CANCELLED, None, "person"))

    def pause(self) -> str:
        """Stop, or go on."""
        why = self.random.choice((None, None, None, "stop"))
        self.ground.workspace.pause(self.ground.home, why, self.ground.rules.id)
        return str(why)

    def end_state(self) -> list[object]:
        """States, counters, histories, attempts, approvals; no ids, no times."""
        found: list[object] = []
        for task in self.tasks:
            now = self.ground.get(task.id)
            approval = self.ground.approvals.open(self.ground.home, task.id)
            found.append(
                (
                    now.state,
                    (now.attempts, now.replans, now.lease_no, now.event_seq, now.waiting_for, now.cancel_requested),
                    tuple((e.kind, e.from_state, e.to_state) for e in self.ground.events(task)),
                    tuple(sorted((a.step_id, a.number, a.effect, str(a.outcome)) for a in now.trail)),
                    approval and (approval.plan_number, len(approval.decisions), approval.valid_until is not None),
                )
            )
        return found


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_one_history_has_the_same_end_in_both(memory_ground: Ground, postgres_ground: Ground, seed: int) -> None:
    """I1-I7, I9: what the simulator learns of memory holds for PostgreSQL, since the two answer alike at every step."""
    memory, postgres = Player(memory_ground, seed), Player(postgres_ground, seed)
    assert memory.play() == postgres.play()
    assert memory.end_state() == postgres.end_state()
    assert any("number" in line for line in memory.seen)


def test_histories_reach_what_they_are_for() -> None:
    """A history that never claims, begins or rescues would compare nothing."""
    seen = "\n".join(line for seed in range(20) for line in Player(over_memory(), seed).play())
    words = ("number 2", "paused", "cancelled", "undecided", "approval_needed", "applied True", "applied False")
    assert [word for word in words if word not in seen] == []
