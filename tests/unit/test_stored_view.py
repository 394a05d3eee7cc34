"""What intake answers without the models is what the models would say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest

from common import api
from common.core.lifecycle import Ask
from common.core.policy import Assessment, Policy, planned
from common.core.task import Origin, Plan, Reason, Request, Risk, State, Step, Task
from common.ports import NewTask, Principal, TaskRecord
from common.views import stored_view, task_view

AT = datetime(2026, 11, 24, 8, 30, 0, 123456, tzinfo=UTC)


def plan(*, asks: bool) -> Plan:
    """A plan of one step, with a reason if it asks."""
    reasons = (Reason(rule="origin_derived", floor=Risk.HIGH, asks=True),) if asks else ()
    risk = Risk.HIGH if asks else Risk.LOW
    steps = [Step(id="a", action="value", args={"value": {"n": [1, 2.5, None, "회식"]}})]
    return planned(1, steps, "typed", Assessment(risk, risk, reasons, asks), Policy())


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("not_before", [None, AT - timedelta(hours=1), AT + timedelta(hours=1)])
@pytest.mark.parametrize("deadline", [None, AT + timedelta(minutes=10), AT + timedelta(days=3)])
@pytest.mark.parametrize("state", [State.QUEUED, State.RECEIVED, State.AWAITING_APPROVAL])
def test_a_stored_task_is_shown_as_a_read_one(
    state: State, deadline: datetime | None, not_before: datetime | None, *, paused: bool
) -> None:
    """I9: both ways to the public JSON give the same document, which the model accepts; no look after the deadline."""
    request = Request(
        text=None, inputs={"x": 1}, tags=("a",), requested_by=UUID(int=9), origin=Origin.TOKEN, not_before=not_before,
        deadline=deadline,
    )  # fmt: skip
    asks = state is State.AWAITING_APPROVAL
    new = NewTask(
        id=UUID(int=7), workspace=UUID(int=8), request=request, priority=5, target=state, actor="me", kind="value",
        plan=None if state is State.RECEIVED else plan(asks=asks),
        ask=Ask(digest="v1", requested_by=UUID(int=9), expires_in=timedelta(hours=24)) if asks else None,
    )  # fmt: skip
    delayed = not_before is not None and not_before > AT and state is State.QUEUED
    task = Task(
        id=new.id, workspace=new.workspace, state=state, request=request, kind="value", plan=new.plan,
        waiting_for="delay" if delayed else None,
    )  # fmt: skip
    due = not_before if delayed else AT + new.ask.expires_in if new.ask else AT
    assert due is not None
    record = TaskRecord(
        task=task, requested_by_name="admin", created_at=AT, finished_at=None, since=AT,
        next_check_at=due if deadline is None else min(due, deadline), paused=paused,
        last_actor="admin", last_note=None, failure=None,
    )  # fmt: skip
    who = Principal(UUID(int=9), "admin", new.workspace, "admin", "api", "a" * 64)
    quick = orjson.loads(orjson.dumps(stored_view(new, who, AT, paused=paused, lang="ko"), option=orjson.OPT_UTC_Z))
    assert quick == orjson.loads(task_view(record, "operator", "ko").model_dump_json())
    api.Task.model_validate(quick)
