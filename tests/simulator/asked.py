"""What is asked for in histories: every kind of task that matters, its effects named after the task."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from common import api
from common.core.digest import approval_digest
from common.core.task import Step
from common.ports import NewTask
from tests.simulator.far_side import name_of
from tests.simulator.reading import ROUNDS, input_of

if TYPE_CHECKING:
    from tests.simulator.world import World

SOON: Final = timedelta(minutes=20)
INPUTS: Final = tuple(input_of(number, part) for number in range(ROUNDS) for part in "ab")
HOURS: Final = tuple(timedelta(hours=n) for n in (2, 5, 30))


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
    api.TaskRequest(text="do it", priority=2),
    api.TaskRequest(text="do it", economy=True),
    api.TaskRequest(text="read it first", economy=True),
    api.TaskRequest(text="look at it today", economy=True),
    _plan(_act("a", "non_idempotent"), {"id": "v", "action": "value", "args": {"value": 2}}, _act("b", "idempotent")),
)


def timed(world: World, given: api.TaskRequest, pick: int) -> api.TaskRequest:
    """Some have to be done by a time, some must not begin before one."""
    now = world.time.now()
    if given.text and world.setup.batches and pick % 4 == 0:
        given = given.model_copy(update={"economy": True})
    if given.economy:
        return given.model_copy(update={"deadline": now + HOURS[pick % len(HOURS)]}) if pick % 2 else given
    if pick % 5 == 0:
        return given.model_copy(update={"deadline": now + SOON})
    return given.model_copy(update={"not_before": now + timedelta(minutes=3)}) if pick % 5 == 1 else given


def named(new: NewTask) -> NewTask:
    """The task with its effects named after it, so that the far side can tell them apart.

    A text's are named by its inputs: whoever shares its answer has the same plan, and other effects.
    """
    if new.plan is None:
        inputs: dict[str, Any] = {name: name_of(new.id, name) for name in INPUTS}
        return replace(new, request=new.request.model_copy(update={"inputs": inputs}))
    plan = new.plan.model_copy(update={"steps": tuple(_named(new.id, step) for step in new.plan.steps)})
    ask = new.ask and replace(new.ask, digest=approval_digest(new.workspace, new.id, plan))
    return replace(new, plan=plan, ask=ask)


def _named(task: UUID, step: Step) -> Step:
    if step.action != "act":
        return step
    return step.model_copy(update={"args": {**step.args, "what": name_of(task, step.id)}})
