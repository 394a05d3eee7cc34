"""What a person does to a task in the manual inbox: try again, have it read again, close it, say what happened."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from common import api
from common.core.after_step import is_last
from common.core.errors import Conflict, EffectUndecided, FieldError, IllegalTransition, Invalid
from common.core.lifecycle import Ask, Detail, Ended, Transition, move
from common.core.policy import ask_for, asks_for_more, planned
from common.core.task import Attempt, Json, Lang, OutcomeKind, Plan, State, Step, Task
from common.ports import Principal
from common.transitions import write
from common.views import task_view
from common.web import ReaderLang, TaskRef, Who, Wired
from common.wiring import Container

from .approvals import record_of

AT_ONCE: Final = timedelta(0)


def retry(id: TaskRef, body: api.Note, wired: Wired, who: Who, lang: ReaderLang) -> api.Task:
    """Try the plan again; below the threshold or under a valid approval at once, else it asks anew."""
    task = _manual(wired, who, id, "retried")
    _refuse_undecided(task)
    if task.plan is None:
        msg = "there is no plan to try again: use reanalyze, or resolve it by hand"
        raise Conflict(msg, state=task.state)
    target, plan, ask = _again(wired, task, task.plan)
    then = _move(task, "retried", target, who, Detail(note=body.note), plan, ask)
    return _apply(wired, who, then, lang)


def reanalyze(id: TaskRef, body: api.Note, wired: Wired, who: Who, lang: ReaderLang) -> api.Task:
    """Have the text read again; what is done stays done (I6)."""
    task = _manual(wired, who, id, "reanalyzed")
    _refuse_undecided(task)
    if task.request.text is None:
        msg = "a typed plan has no text to read: use retry, or submit another plan"
        raise Conflict(msg, state=task.state)
    then = move(task, "reanalyzed", State.RECEIVED, AT_ONCE, _actor(who), detail=Detail(note=body.note))
    return _apply(wired, who, then, lang)


def resolve(id: TaskRef, body: api.Resolution, wired: Wired, who: Who, lang: ReaderLang) -> api.Task:
    """Close it by hand, with a note and a result."""
    task = _manual(wired, who, id, "resolved")
    data: dict[str, Json] = {"result": body.result} if body.result is not None else {}
    detail = Detail(note=body.note, data=data)
    then = move(task, "resolved", State.SUCCEEDED, None, _actor(who), detail=detail)
    return _apply(wired, who, then, lang)


def outcome(id: TaskRef, body: api.GivenOutcome, wired: Wired, who: Who, lang: ReaderLang) -> api.Task:
    """Say what an unknown attempt did; then it goes on from there."""
    task = _manual(wired, who, id, "outcome_given")
    attempt = _unknown(task, body.step)
    plan = task.plan
    if plan is None:
        raise IllegalTransition("outcome_given", task.state)
    ended = Ended(
        step_id=attempt.step_id,
        number=attempt.number,
        outcome=OutcomeKind.DONE if body.outcome == "done" else OutcomeKind.NOT_DONE,
        decided_by=str(who.person),
    )
    detail = Detail(note=body.note, data={"step": body.step, "outcome": body.outcome})
    step = next(s for s in plan.steps if s.id == body.step)
    if body.outcome == "done" and is_last(task, step):
        then = move(task, "outcome_given", State.SUCCEEDED, None, _actor(who), detail=detail, ended=ended)
    else:
        target, again, ask = _again(wired, _as_given(task, attempt, ended), plan)
        then = _move(task, "outcome_given", target, who, detail, again, ask, ended)
    return _apply(wired, who, then, lang)


def _manual(wired: Container, who: Principal, task_id: TaskRef, kind: str) -> Task:
    task = record_of(wired, who, task_id).task
    if task.state is not State.MANUAL:
        raise IllegalTransition(kind, task.state)
    return task


def _unknown(task: Task, step: str) -> Attempt:
    attempts = [a for a in task.attempts_of(step) if a.unsettled]
    if not attempts:
        steps = sorted({a.step_id for a in task.trail if a.unsettled})
        hint = f"unknown now: {', '.join(steps)}" if steps else "nothing of this task is unknown"
        raise Invalid((FieldError("#/step", f"no attempt of {step!r} is unknown", hint),))
    return attempts[-1]


def _refuse_undecided(task: Task) -> None:
    unknown = task.unknown_effect
    if unknown is not None:
        msg = f"nobody knows whether step {unknown.step_id!r} happened: say so first (outcome), then go on"
        raise EffectUndecided(msg, state=task.state)


def _as_given(task: Task, attempt: Attempt, ended: Ended) -> Task:
    closed = attempt.model_copy(update={"outcome": ended.outcome})
    trail = tuple(closed if a is attempt else a for a in task.trail)
    return task.model_copy(update={"trail": trail})


def _again(wired: Container, task: Task, plan: Plan) -> tuple[State, Plan | None, Ask | None]:
    """Where the plan goes when it is tried again: under the policy of now; a retry cannot lower its risk (I5).

    One that reached what it was allowed to cost asks for more, and says how much.
    """
    policy = wired.workspace.policy(task.workspace)
    done: tuple[Step, ...] = tuple(s for s in plan.steps if s.id in task.done)
    step = task.next_step or plan.steps[-1]
    verdict = wired.catalogue.assess_resolved(task, step, step, policy)
    dearer = task.failure is not None and task.failure.code == "cost_cap"
    if dearer:
        verdict = asks_for_more(verdict, step)
    if not verdict.needs_approval:
        return State.QUEUED, None, None
    approval = wired.approvals.open(task.workspace, task.id)
    if not dearer and approval is not None and wired.approvals.valid(task.workspace, task.id, approval.digest):
        return State.QUEUED, None, None
    cap = wired.catalogue.cost_cap(plan.steps, task, anew=dearer)
    again = planned(plan.number + 1, plan.steps, plan.source, verdict, policy, kept=len(done), cost_cap=cap)
    return State.AWAITING_APPROVAL, again, ask_for(task, again)


def _move(  # noqa: PLR0913 - the two kinds that lead back to work
    task: Task,
    kind: str,
    target: State,
    who: Principal,
    detail: Detail,
    plan: Plan | None,
    ask: Ask | None,
    ended: Ended | None = None,
) -> Transition:
    check_in = ask.expires_in if ask else AT_ONCE
    return move(task, kind, target, check_in, _actor(who), detail=detail, plan=plan, ask=ask, ended=ended)


def _apply(wired: Container, who: Principal, then: Transition, lang: Lang) -> api.Task:
    if not write(wired.queue, wired.notifier, [then]):
        present = record_of(wired, who, then.task_id).task.state
        msg = "somebody was faster: look at the task as it is now"
        raise Conflict(msg, state=present)
    return task_view(record_of(wired, who, then.task_id), who.role, lang)


def _actor(who: Principal) -> str:
    return f"person:{who.person}"
