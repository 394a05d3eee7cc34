"""What is known of texts that were just handed in: a recipe, or an answer that is remembered, decides them at once.

Nobody is asked and nothing is paid; policy decides as over any plan (I5, I10). What is not known is `received`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from common.analysis.planning import plan_for
from common.core.policy import Policy, destination
from common.core.task import Failure, Plan, State, Task
from common.ports import Answer, NewTask, Question
from common.telemetry import code_of, note
from common.wiring import Container


def recalled(tasks: Sequence[NewTask], wired: Container, policy: Policy, now: datetime) -> tuple[NewTask, ...]:
    """The tasks of one request, those decided whose text is known. Looked up once for all; never raises."""
    unread = [(place, as_task(new)) for place, new in enumerate(tasks) if new.plan is None]
    if not unread:
        return tuple(tasks)
    try:
        found = wired.analyzer.recall([Question(task=task, policy=policy) for _, task in unread])
    except Exception as exc:  # noqa: BLE001 - an analyzer is a plug-in; whatever it does, tasks are taken in
        note("recall_failed", logging.ERROR, error=code_of(exc))
        return tuple(tasks)
    decided = list(tasks)
    plans: dict[tuple[int, str | None], Plan | Failure] = {}
    for (place, task), answer in zip(unread, found, strict=True):
        if answer is None:
            continue
        # Of one request, under one policy and at one moment, policy says the same of the same text and answer.
        alike = (id(answer), task.request.text)
        plan = plans.get(alike)
        if plan is None or task.request.inputs:
            plan = plan_for(task, answer, policy, wired.catalogue, now)
            if not task.request.inputs:
                plans[alike] = plan
        if isinstance(plan, Plan):  # what cannot be used is left to the analysis, which says why
            decided[place] = _decided(tasks[place], task, answer, plan)
    return tuple(decided)


def as_task(new: NewTask) -> Task:
    """A task about to exist, as an analyzer is asked about it."""
    return Task(
        id=new.id,
        workspace=new.workspace,
        state=State.RECEIVED,
        request=new.request,
        priority=new.priority,
        economy=new.economy,
    )


def _decided(new: NewTask, task: Task, answer: Answer, plan: Plan) -> NewTask:
    """With its plan, where policy puts it."""
    target, ask = destination(task, plan)
    priority = new.priority if new.request.priority_given or answer.priority is None else answer.priority
    return NewTask(
        id=new.id,
        workspace=new.workspace,
        request=new.request,
        priority=priority,
        target=target,
        actor=new.actor,
        kind=answer.kind,
        economy=new.economy,
        plan=plan,
        ask=ask,
    )
