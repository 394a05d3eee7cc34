"""An answer as a plan: behind what was begun already, assessed by policy, quoted. The answer itself decides nothing."""

from __future__ import annotations

from datetime import datetime

from common.actions.catalogue import Catalogue
from common.analysis.history import kept_steps
from common.analysis.packs.question import DETAIL_MAX
from common.core.errors import Invalid
from common.core.policy import Policy, planned
from common.core.task import Failure, Plan, Task
from common.ports import Answer


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
