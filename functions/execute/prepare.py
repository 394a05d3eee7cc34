"""What a worker may do next with a task in its hand: a transition, a step that needs no record, or a wish to begin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from common.actions.catalogue import Catalogue
from common.core.after_step import REMIND_IN, Began, Limits, NotDone, after_step
from common.core.digest import approval_digest, args_sha256, idempotency_key
from common.core.lifecycle import Detail, NextStep, Transition, move
from common.core.policy import Assessment, Policy, ask_for, planned
from common.core.references import Unresolvable
from common.core.task import EFFECT_UNKNOWN, Effect, Failure, Plan, State, Step, Task
from common.ports import Begin, Refusal

ACTOR: Final = "execute"
AT_ONCE: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Free:
    """Nothing leaves the installation: run it now."""

    task: Task
    step: Step  # with its values filled in


@dataclass(frozen=True, slots=True)
class Want:
    """An effect that wants to begin: the gate decides."""

    task: Task
    step: Step  # with its values filled in
    effect: Effect
    verdict: Assessment
    begin: Begin


Prepared = Transition | NextStep | Free | Want


def prepare(task: Task, policy: Policy, catalogue: Catalogue, limits: Limits, draw: float) -> Prepared:
    """Decide, from what is in hand. Pure but for the catalogue's parsing."""
    step = task.next_step
    if task.plan is None or step is None:
        return move(task, "succeeded", State.SUCCEEDED, None, ACTOR)
    if task.cancel_requested:
        return move(task, "cancelled", State.CANCELLED, None, ACTOR)
    if task.deadline_in is not None and task.deadline_in <= AT_ONCE:
        return give_up(task, "deadline_passed", step.id)
    if not catalogue.installed(step):
        return give_up(task, "not_installed", step.id, step.action)
    try:
        resolved = catalogue.resolve(step, task.done)
    except Unresolvable as exc:
        outcome = NotDone(exc.code, transient=False, detail=str(exc))
        return after_step(task, Began(step, Effect.NONE), outcome, limits, draw, ACTOR)
    wait = catalogue.wait_of(resolved, task.read_at or datetime.now(UTC))
    if wait is not None and not task.wait_over and wait > AT_ONCE:
        return move(task, "snoozed", State.QUEUED, wait, ACTOR, waiting_for="delay", wait_until=wait)
    effect = catalogue.effect(resolved, policy)
    if effect is Effect.NONE:
        return Free(task, resolved)
    verdict = catalogue.assess_resolved(task, step, resolved, policy)
    if verdict.needs_approval and catalogue.unbounded(step) and _above(verdict, step, policy):
        steps = filled_in(task.plan, resolved)
        return ask_again(task, steps, verdict, policy, "resolved", catalogue.cost_cap(steps, task))
    return Want(task, resolved, effect, verdict, _begin(task, task.plan, resolved, effect, verdict, policy, catalogue))


def _begin(
    task: Task, plan: Plan, step: Step, effect: Effect, verdict: Assessment, policy: Policy, catalogue: Catalogue
) -> Begin:
    hashed = args_sha256(step.action, step.args)
    return Begin(
        task_id=task.id,
        lease_no=task.lease_no,
        step_id=step.id,
        plan_number=plan.number,
        effect=effect,
        idempotency_key=idempotency_key(task.id, hashed, [s.id for s in plan.steps].index(step.id)),
        args_sha256=hashed,
        risk=verdict.risk,
        needs_approval=verdict.needs_approval,
        digest=approval_digest(task.workspace, task.id, plan) if verdict.needs_approval else None,
        policy_version=policy.version,
        timeout=catalogue.timeout(step),
    )


def _above(verdict: Assessment, step: Step, policy: Policy) -> bool:
    return any(r.step == step.id and r.floor.rank > policy.autorun.rank for r in verdict.reasons)


def filled_in(plan: Plan, resolved: Step) -> tuple[Step, ...]:
    """The plan's steps with one step's values written out, so that a person approves what will be sent (I4)."""
    return tuple(resolved if s.id == resolved.id else s for s in plan.steps)


def ask_again(
    task: Task, steps: tuple[Step, ...], verdict: Assessment, policy: Policy, source: str, cost_cap: int | None
) -> Transition:
    """Wait for a person over exactly these steps, as the next plan."""
    number = task.plan.number + 1 if task.plan else 1
    kept = len([s for s in steps if s.id in task.done])
    plan = planned(number, steps, source, verdict, policy, kept=kept, cost_cap=cost_cap)
    ask = ask_for(task, plan)
    return move(task, "approval_needed", State.AWAITING_APPROVAL, ask.expires_in, ACTOR, plan=plan, ask=ask)


def give_up(task: Task, code: str, step_id: str | None, detail: str | None = None) -> Transition:
    """To a person, with the reason."""
    failure = Failure(code=code, step=step_id, detail=detail)
    return move(task, "gave_up", State.MANUAL, REMIND_IN, ACTOR, detail=Detail(failure=failure))


def after_refusal(want: Want, why: Refusal, policy: Policy) -> Transition | None:
    """What the gate's answer means; None: drop it, the task is somebody else's by now.

    The gate decided; here it is only put into words. POLICY_CHANGED is the caller's: it assesses again.
    """
    task, step = want.task, want.step
    match why:
        case Refusal.STALE:
            return None
        case Refusal.CANCELLED:
            return move(task, "cancelled", State.CANCELLED, None, ACTOR)
        case Refusal.DEADLINE:
            return give_up(task, "deadline_passed", step.id)
        case Refusal.PAUSED:
            return move(task, "snoozed", State.QUEUED, AT_ONCE, ACTOR, waiting_for="paused")
        case Refusal.POLICY_CHANGED:
            return move(task, "snoozed", State.QUEUED, AT_ONCE, ACTOR)
        case Refusal.APPROVAL_NEEDED:
            steps = task.plan.steps if task.plan else ()
            source = task.plan.source if task.plan else "typed"
            cap = task.plan.cost_cap if task.plan else None
            return ask_again(task, steps, want.verdict, policy, source, cap)
        case Refusal.COST_CAP:
            return give_up(task, "cost_cap", step.id)
        case Refusal.UNDECIDED:
            return give_up(task, EFFECT_UNKNOWN, step.id)
