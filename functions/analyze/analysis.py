"""Claim, ask the analyzer, let policy decide. Several questions at once; each answer is written as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from common.actions.catalogue import Catalogue
from common.analysis.history import kept_steps
from common.claim_loop import Turn
from common.core.after_analysis import after_failure
from common.core.errors import Invalid, Unavailable
from common.core.lifecycle import Transition, move
from common.core.policy import Policy, destination, planned
from common.core.task import Failure, Plan, State, Task
from common.ports import Analyzer, Answer, Clock, NotAnswered, Notifier, Question, Queue, Workspace, wakes_of
from common.telemetry import count_transitions

ACTOR: Final = "analyze"
DETAIL_MAX: Final = 500  # characters; a detail is read by people, and by the model when it thinks again


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What an analyst works with."""

    queue: Queue
    workspace: Workspace
    analyzer: Analyzer
    catalogue: Catalogue
    clock: Clock
    notifier: Notifier
    worker: str
    lease: timedelta = timedelta(seconds=60)
    claim_tasks: int = 100
    at_once: int = 8


class Analyst:
    """Reads received tasks."""

    def __init__(self, means: Means, pool: Executor, draining: Callable[[], bool] = lambda: False) -> None:
        """`pool`: the questions at once. `draining`: whether to release instead of asking."""
        self._means = means
        self._pool = pool
        self._draining = draining

    def turn(self) -> Turn:
        """Claim once and have all of it read."""
        means = self._means
        # With a model a question takes seconds: whoever claims a hundred keeps them from other replicas.
        limit = 2 * means.at_once if means.analyzer.has_model else means.claim_tasks
        tasks = means.queue.claim(State.RECEIVED, means.worker, limit, means.lease)
        if not tasks:
            soon = means.queue.next_due(State.RECEIVED)
            in_ms = None if soon is None else int(soon.total_seconds() * 1000) + 1
            return Turn(claimed=0, done=0, full=False, wake_in_ms=in_ms)
        policies = {w: means.workspace.policy(w) for w in {t.workspace for t in tasks}}
        asked = {self._pool.submit(self._read, task, policies[task.workspace]): task for task in tasks}
        # `full`: whatever was deferred meanwhile is found by one more claim, which says when it is due.
        return Turn(claimed=len(tasks), done=self._write_all(asked), full=True, wake_in_ms=None)

    def _write_all(self, asked: dict[Future[Transition], Task]) -> int:
        done, open_ = 0, set(asked)
        while open_:
            ended, open_ = wait(open_, self._means.lease.total_seconds() / 3, FIRST_COMPLETED)
            if ended:
                done += self._write([future.result() for future in ended])
            if open_:
                held = [(asked[f].id, asked[f].lease_no) for f in open_]
                self._means.queue.renew(held, self._means.lease)
        return done

    def _write(self, batch: Sequence[Transition]) -> int:
        applied = self._means.queue.apply(batch)
        moved = [item for item in batch if item.task_id in applied]
        count_transitions(item.kind for item in moved)
        wakes = wakes_of([item.target for item in moved])
        if wakes:
            self._means.notifier.publish(wakes)
        return len(applied)

    def _read(self, task: Task, policy: Policy) -> Transition:
        """What follows from one task; never raises: an answer that cannot be had goes to a person or waits."""
        means = self._means
        if self._draining():
            return move(task, "released", State.RECEIVED, timedelta(0), ACTOR)
        if task.cancel_requested:
            return move(task, "cancelled", State.CANCELLED, None, ACTOR)
        if task.deadline_in is not None and task.deadline_in <= timedelta(0):
            return after_failure(task, Failure(code="deadline_passed"), ACTOR)
        answer: Answer | NotAnswered
        try:
            [answer] = means.analyzer.analyze([Question(task=task, policy=policy)])
        except Unavailable as exc:
            answer = NotAnswered(failure=Failure(code=exc.code), again_in=timedelta(seconds=30), waiting_for="provider")
        except Exception as exc:  # noqa: BLE001 - an analyzer is a plug-in; what was not foreseen goes to a person
            answer = NotAnswered(failure=Failure(code="unusable_answer", detail=type(exc).__name__))
        if isinstance(answer, NotAnswered):
            return after_failure(task, answer.failure, ACTOR, answer.again_in, answer.waiting_for)
        now = datetime.fromtimestamp(means.clock.unix_ms() / 1000, UTC)
        return decided(task, answer, policy, means.catalogue, now)


def decided(task: Task, answer: Answer, policy: Policy, catalogue: Catalogue, now: datetime) -> Transition:
    """The transition that an answer leads to: policy decides, whatever the answer says (I5)."""
    plan = plan_for(task, answer, policy, catalogue, now)
    if isinstance(plan, Failure):
        return after_failure(task, plan, ACTOR)
    target, ask = destination(task, plan)
    return move(
        task,
        "plan_decided",
        target,
        ask.expires_in if ask else timedelta(0),
        ACTOR,
        plan=plan,
        ask=ask,
        kind_of_task=answer.kind,
        priority=None if task.request.priority_given else answer.priority,
    )


def plan_for(task: Task, answer: Answer, policy: Policy, catalogue: Catalogue, now: datetime) -> Plan | Failure:
    """The answer's plan behind what was begun already (I6), assessed; or why it cannot be used."""
    kept = kept_steps(task)
    try:
        steps = catalogue.read([*kept, *answer.steps], task.request.inputs, now)
    except Invalid as exc:
        return Failure(code="unusable_answer", detail=str(exc)[:DETAIL_MAX])
    try:
        catalogue.refuse(steps, policy)
    except Invalid as exc:
        return Failure(code="refused_target", detail=str(exc)[:DETAIL_MAX])
    if task.plan is not None and steps == task.plan.steps and task.failure is not None:
        return Failure(code="same_plan", step=task.failure.step)
    verdict = catalogue.assess(steps, task.request, policy, claimed=answer.risk, earlier=task.plan, kept=kept)
    number = task.plan.number + 1 if task.plan else 1
    cap = catalogue.cost_cap(steps, task)
    return planned(number, steps, answer.source, verdict, policy, kept=len(kept), cost_cap=cap)
