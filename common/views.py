"""From records to the public JSON: what a role may see, in the reader's language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Literal, cast
from uuid import UUID

from common import api
from common.auth import reaches
from common.core.task import TERMINAL, Failure, Json, Lang, Plan, Reason, State, Step
from common.i18n import t
from common.i18n.details import recipe_named, said
from common.ports import Approval, EventRecord, NewTask, Principal, Role, TaskRecord

MASKED: Final = "•••"
What = Literal["analysis", "worker", "delay", "backoff", "approval", "person", "paused", "budget", "provider"]


def task_view(record: TaskRecord, role: Role, lang: Lang) -> api.Task:
    """A task as a role may see it: a viewer gets no inputs, no result, and masked argument values."""
    task, full = record.task, reaches(role, "operator")
    plan = task.plan
    ended = task.state in TERMINAL or task.state is State.MANUAL
    failure = record.failure if task.state is not State.SUCCEEDED else None
    return api.Task(
        id=task.id,
        state=task.state,
        waiting_for=waiting_view(record),
        text=task.request.text,
        inputs=task.request.inputs if full else None,
        kind=task.kind,
        risk=plan.risk if plan else None,
        reasons=reasons_view(plan.reasons, lang, masked=not full) if plan else [],
        priority=task.priority,
        plan=plan_view(plan, masked=not full) if plan else None,
        attempts=task.attempts,
        result=record.result if full else None,
        error=api.ErrorView(
            code=failure.code,
            step=failure.step,
            status=failure.status,
            detail=_detail(failure, lang) if full and failure.detail else None,
        )
        if failure
        else None,
        outcome=api.OutcomeView(note=_note(record), actor=record.last_actor) if ended else None,
        cost_usd=api.usd(record.cost_nanodollars),
        requested_by=record.requested_by_name,
        created_at=record.created_at,
        finished_at=record.finished_at,
        tags=list(task.request.tags),
    )


def stored_view(task: NewTask, who: Principal, at: datetime, *, paused: bool, lang: Lang) -> dict[str, object]:
    """As `task_view` for an operator, of a task that was stored just now: ready for orjson.

    Without a read, and without going through the models, which costs ten times as much and would be most of what intake
    does for a task. A test holds the two to each other.

    Args:
        task: as it was stored.
        who: stored it.
        at: when.
        paused: whether its workspace is.
        lang: the reader's.
    """
    plan, not_before = task.plan, task.request.not_before
    due, what = at, "analysis"
    if task.ask is not None:
        due, what = at + task.ask.expires_in, "approval"
    elif task.target is State.QUEUED:
        delayed = not_before is not None and not_before > at
        due = not_before if not_before is not None and delayed else at
        what = "paused" if paused else "delay" if delayed else "worker"
    if task.request.deadline is not None:
        due = min(due, task.request.deadline)  # as in the database: nothing is looked at later (I9)
    return {
        "id": task.id,
        "state": task.target,
        "waiting_for": {
            "what": what,
            "since": at,
            "look_again_at": due,
            "who": WHO.get(what),
            "command": f"./aiw approve {short(task.id)}" if what == "approval" else COMMANDS.get(what),
        },
        "text": task.request.text,
        "inputs": task.request.inputs,
        "kind": task.kind,
        "risk": plan and plan.risk,
        "reasons": [view.model_dump() for view in reasons_view(plan.reasons, lang)] if plan and plan.reasons else [],
        "priority": task.priority,
        "plan": {
            "number": plan.number,
            "steps": [{"id": s.id, "action": s.action, "args": s.args} for s in plan.steps],
            "source": plan.source,
        }
        if plan
        else None,
        "attempts": 0,
        "result": None,
        "error": None,
        "outcome": None,
        "cost_usd": NO_COST,
        "requested_by": who.person_name,
        "created_at": at,
        "finished_at": None,
        "tags": task.request.tags,
    }


NO_COST: Final = api.usd(0)
# Of what a task may wait for: the role that can end it, and the command, where one alone does.
WHO: Final[Mapping[str, Role]] = {"approval": "approver", "person": "operator", "paused": "admin", "budget": "admin"}
COMMANDS: Final[Mapping[str, str]] = {"paused": "./aiw resume", "budget": "./aiw settings budget_usd"}


def short(task: UUID) -> str:
    """The ending of an id that commands are written with."""
    return str(task)[-8:]


def waiting_view(record: TaskRecord) -> api.WaitingFor | None:
    """What it waits for: derived from the state, and from the stored word where the state does not say it."""
    what = waits_for(record)
    if what is None:
        return None
    ending, command = short(record.task.id), COMMANDS.get(what)
    if what == "approval":
        command = f"./aiw approve {ending}"
    elif what == "person" and record.task.unknown_effect:
        # Without the answer, for which it asks: pasted with `done|not_done`, a shell would run it and say "done" (I6).
        command = f"./aiw outcome {ending} {record.task.unknown_effect.step_id}"
    elif what == "person":
        command = f"./aiw {'resolve' if record.task.plan is None else 'retry'} {ending}"
    return api.WaitingFor(
        what=what, since=record.since, look_again_at=record.next_check_at, who=WHO.get(what), command=command
    )


def waits_for(record: TaskRecord) -> What | None:
    """The word for it; None while it runs or is over."""
    task = record.task
    match task.state:
        case State.AWAITING_APPROVAL:
            return "approval"
        case State.MANUAL:
            return "person"
        case State.QUEUED if record.paused:
            return "paused"
        case State.QUEUED:
            return cast("What", task.waiting_for or "worker")
        case State.RECEIVED | State.ANALYZING:
            return cast("What", task.waiting_for or "analysis")
        case _:
            return None


def reasons_view(reasons: tuple[Reason, ...], lang: Lang, *, masked: bool = False) -> list[api.ReasonView]:
    """Why it is how risky, in the reader's language; `masked`: without what it quotes of the plan's arguments."""
    return [
        api.ReasonView(
            rule=r.rule,
            step=r.step,
            floor=r.floor,
            text=t(f"reason.{r.rule}", lang, **(dict.fromkeys(r.values, MASKED) if masked else r.values)),
        )
        for r in reasons
    ]


def _detail(failure: Failure, lang: Lang) -> str:
    """In the reader's language: a recipe's name, of a text that none fits, and what is ours of the rest."""
    return (recipe_named if failure.code == "no_recipe" else said)(failure.detail or "", lang)


def _note(record: TaskRecord) -> str | None:
    """What was said at the end; of one with a person, that cancelling was asked for while its effect is unknown."""
    waits_to_be_cancelled = record.task.state is State.MANUAL and record.task.cancel_requested
    return record.last_note or ("cancel_requested" if waits_to_be_cancelled else None)


def plan_view(plan: Plan, *, masked: bool) -> api.PlanView:
    """A plan; `masked`: every argument value is hidden, its name is not."""
    return api.PlanView(
        number=plan.number,
        source=plan.source,
        steps=[api.PlanStep(id=s.id, action=s.action, args=_masked(s) if masked else dict(s.args)) for s in plan.steps],
    )


def _masked(step: Step) -> dict[str, Json]:
    return dict.fromkeys(step.args, MASKED)


def event_view(record: EventRecord, role: Role, lang: Lang) -> api.Event:
    """A history row; its details are an operator's."""
    event = record.event
    return api.Event(
        task_id=event.task_id,
        seq=event.seq,
        kind=event.kind,
        from_state=event.from_state,
        to_state=event.to_state,
        at=event.at,
        actor=record.actor_name,
        text=t(f"event.{event.kind}", lang),
        detail=event.detail if reaches(role, "operator") else None,
    )


def approval_view(
    approval: Approval,
    record: TaskRecord,
    plan: Plan,
    say: Callable[[Step, Lang], str],
    who: Principal,
    lang: Lang,
    *,
    self_approval: bool,
) -> api.Approval:
    """What waits for approval, as an approver sees it: everything."""
    own = who.person == approval.requested_by and not self_approval
    decided = any(d.person == who.person for d in approval.decisions)
    return api.Approval(
        task_id=record.task.id,
        digest=approval.digest,
        plan=plan_view(plan, masked=False),
        summary=[say(step, lang) for step in plan.steps],
        risk=plan.risk,
        reasons=reasons_view(plan.reasons, lang),
        worst_cost_usd=api.usd(plan.cost_cap or 0),
        requested_by=approval.requested_by_name,
        expires_at=approval.expires_at,
        required=approval.required,
        decisions=[
            api.DecisionView(person=d.person_name, verdict=d.verdict, note=d.note, at=d.at) for d in approval.decisions
        ],
        may_decide=record.task.state is State.AWAITING_APPROVAL and not own and not decided,
    )
