"""What intake answers without the models is what the models would say."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import orjson
import pytest

from common import api
from common.core.policy import Assessment, Policy, planned
from common.core.task import Origin, Plan, Reason, Request, Risk, State, Step, Task
from common.ports import TaskRecord
from common.views import stored_view, task_view

AT = datetime(2026, 11, 24, 8, 30, 0, 123456, tzinfo=UTC)


def plan(*, asks: bool) -> Plan:
    """A plan of one step, with a reason if it asks."""
    reasons = (Reason(rule="origin_derived", floor=Risk.HIGH, asks=True),) if asks else ()
    risk = Risk.HIGH if asks else Risk.LOW
    steps = [Step(id="a", action="value", args={"value": {"n": [1, 2.5, None, "회식"]}})]
    return planned(1, steps, "typed", Assessment(risk, risk, reasons, asks), Policy())


@pytest.mark.parametrize("state", [State.QUEUED, State.RECEIVED, State.AWAITING_APPROVAL])
def test_a_stored_task_is_shown_as_a_read_one(state: State) -> None:
    """Both ways to the public JSON give the same document, which the model accepts."""
    task = Task(
        id=UUID(int=7),
        workspace=UUID(int=8),
        state=state,
        request=Request(text=None, inputs={"x": 1}, tags=("a",), requested_by=UUID(int=9), origin=Origin.TOKEN),
        kind="value",
        plan=None if state is State.RECEIVED else plan(asks=state is State.AWAITING_APPROVAL),
    )
    record = TaskRecord(
        task=task, requested_by_name="admin", created_at=AT, finished_at=None, since=AT, next_check_at=AT, paused=False,
        last_actor="admin", last_note=None, failure=None,
    )  # fmt: skip
    quick = orjson.loads(orjson.dumps(stored_view(record, "ko"), option=orjson.OPT_UTC_Z))
    assert quick == orjson.loads(task_view(record, "operator", "ko").model_dump_json())
    api.Task.model_validate(quick)
