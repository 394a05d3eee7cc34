"""All maintenance: lost leases, expiries, late cancels, reminders, reassessment, money, retention, wakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from common.actions.catalogue import Catalogue
from common.core.after_analysis import after_lost_analysis
from common.core.after_step import REMIND_IN, Began, Limits, NotDone, Unknown, after_step
from common.core.lifecycle import Detail, NextStep, Transition, move
from common.core.policy import destination, planned
from common.core.task import Effect, Failure, State, Task
from common.ports import Approvals, Budget, Clock, Notifier, Queue, Workspace
from common.transitions import Settled, write

from .retention import Retention

ACTOR: Final = "schedule"
LIMIT: Final = 200
ALL_WAKES: Final = ("aiw.approval.requested", "aiw.task.manual", "aiw.task.queued", "aiw.task.received")


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """What `schedule` does each minute, and whenever it is woken."""

    queue: Queue
    approvals: Approvals
    workspace: Workspace
    budget: Budget
    retention: Retention
    notifier: Notifier
    catalogue: Catalogue
    clock: Clock
    limits: Callable[[], Limits]

    def turn(self) -> tuple[int, int, bool]:
        """Look at what is due: how many there were, how many moved, and whether there may be more."""
        self.budget.expire()
        due = self.queue.due(LIMIT)
        reminded = [task.id for task in due if task.state is State.MANUAL and not _cancels(task)]
        if reminded:
            self.approvals.remind(reminded, REMIND_IN)
        moves = [follows for task in due if (follows := self.after(task)) is not None]
        done = len(reminded) + self._apply(moves)
        # Last, and by itself: settings that cannot be read must not keep lost leases from being found.
        done += self._apply(self._reassessed({task.id for task in due}))
        # Missed wakes: whatever waits, somebody is told to look, each minute. A wake for nothing costs one short claim.
        self.notifier.publish(ALL_WAKES)
        self.retention.turn()
        return len(due), done, len(due) == LIMIT and done > 0

    def after(self, task: Task) -> Transition | NextStep | None:
        """What follows for a task whose time has come; None if nothing does (a reminder is no transition)."""
        match task.state:
            case State.RUNNING:
                return self._lost_run(task)
            case State.ANALYZING:
                return after_lost_analysis(task, self.limits(), self.clock.draw(), ACTOR)
            case State.AWAITING_APPROVAL | State.MANUAL if _cancels(task):
                return move(task, "cancelled", State.CANCELLED, None, ACTOR, only_if_due=True)
            case State.AWAITING_APPROVAL:
                passed = task.deadline_in is not None and task.deadline_in <= timedelta(0)
                failure = Failure(code="deadline_passed" if passed else "approval_expired")
                detail = Detail(failure=failure)
                return move(task, "approval_expired", State.MANUAL, REMIND_IN, ACTOR, detail=detail, only_if_due=True)
            case _:
                return None

    def _lost_run(self, task: Task) -> Transition | NextStep:
        """A lost lease: an open attempt is unknown, closed in the same commit (I6); without one nothing was done."""
        step = task.next_step
        if step is None:
            return move(task, "succeeded", State.SUCCEEDED, None, ACTOR, only_if_due=True)
        open_ = next((a for a in reversed(task.trail) if a.outcome is None), None)
        limits, draw = self.limits(), self.clock.draw()
        if open_ is None:
            nothing = NotDone("lease_lost", transient=True)
            return after_step(task, Began(step, Effect.NONE), nothing, limits, draw, ACTOR, lost=True)
        began = Began(step, open_.effect, open_.number)
        return after_step(task, began, Unknown("lease_lost"), limits, draw, ACTOR, lost=True)

    def _reassessed(self, taken: set[object]) -> list[Transition]:
        """Policy changed while these waited: they ask anew, or need not ask any more."""
        moves = []
        for task in self.workspace.workspaces_reassessable(LIMIT):
            if task.plan is None or task.id in taken:
                continue
            policy = self.workspace.policy(task.workspace)
            kept = tuple(s for s in task.plan.steps if s.id in task.done)
            verdict = self.catalogue.reassess(task, policy)
            number, steps, source = task.plan.number + 1, task.plan.steps, task.plan.source
            cap = self.catalogue.cost_cap(steps, task)
            plan = planned(number, steps, source, verdict, policy, kept=len(kept), cost_cap=cap)
            target, ask = destination(task, plan)
            check_in = ask.expires_in if ask else timedelta(0)
            moves.append(move(task, "reassessed", target, check_in, ACTOR, plan=plan, ask=ask))
        return moves

    def _apply(self, moves: Sequence[Settled]) -> int:
        return len(write(self.queue, self.notifier, moves))


def _cancels(task: Task) -> bool:
    """A cancel was asked for while a worker had the task; here it is carried out, unless an effect is unknown (I6)."""
    return task.cancel_requested and task.unknown_effect is None
