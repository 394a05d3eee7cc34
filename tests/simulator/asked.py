"""What is asked for in histories: every kind of task that matters, its effects named after the task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from common import api
from common.core.digest import approval_digest
from common.core.task import Step
from common.ports import NewTask
from tests.simulator.far_side import name_of


def _plan(*steps: dict[str, Any]) -> api.TaskRequest:
    return api.TaskRequest.model_validate({"plan": {"steps": list(steps)}})


def _act(name: str, effect: str, risk: str = "low", **more: object) -> dict[str, Any]:
    return {"id": name, "action": "act", "args": {"what": name, "effect": effect, "risk": risk, **more}}


REQUESTS: Final = (
    api.TaskRequest(text="do it"),
    _plan(_act("pay", "non_idempotent", "high")),
    _plan(_act("put", "idempotent"), _act("pay", "non_idempotent")),
    _plan({"id": "v", "action": "value", "args": {"value": 1}}, _act("pay", "non_idempotent", "medium")),
    api.TaskRequest(text="read it first"),
    _plan({"id": "w", "action": "wait", "args": {"seconds": 30}}, _act("put", "idempotent", "high")),
    _plan(
        _act("put", "idempotent", "medium"), _act("pay", "non_idempotent", "high", note={"$ref": "steps.put.receipt"})
    ),
    api.TaskRequest(text="and this"),
    api.TaskRequest(text="and that"),
    _plan(_act("a", "non_idempotent"), {"id": "v", "action": "value", "args": {"value": 2}}, _act("b", "idempotent")),
)


def named(new: NewTask) -> NewTask:
    """The task with its effects named after it, so that the far side can tell them apart."""
    if new.plan is None:
        return new
    plan = new.plan.model_copy(update={"steps": tuple(_named(new.id, step) for step in new.plan.steps)})
    digest = approval_digest(new.workspace, new.id, plan)
    return replace(new, plan=plan, ask=None if new.ask is None else replace(new.ask, digest=digest))


def _named(task: UUID, step: Step) -> Step:
    if step.action != "act":
        return step
    return step.model_copy(update={"args": {**step.args, "what": name_of(task, step.id)}})
