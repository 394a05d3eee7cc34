"""The gate and intake, where only one of several guards stands in the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from common.core.task import State
from common.ports import Added, AddRefused, NewTask, Refusal, Submission
from tests.contract.ground import Ground


def test_a_plan_that_is_no_longer_the_tasks_begins_nothing(ground: Ground) -> None:
    """I4: under the right lease, a step of another plan than the present one is stale."""
    held = ground.running()
    assert ground.refused(held, plan_number=2) is Refusal.STALE
    ground.begun(held)


def keyed(ground: Ground, task: NewTask, body: str) -> Submission:
    """A submission under one key."""
    return Submission(
        token_sha256=ground.asks.token, tasks=(task,), route="POST /tasks", key="k-of-a-week", body_sha256=body
    )


def test_a_key_counts_for_seven_days(ground: Ground) -> None:
    """What was stored under it answers until then; a week later it is free for another body."""
    [first] = ground.queue.add([keyed(ground, ground.new(State.QUEUED), "a" * 64)])
    assert isinstance(first, Added)
    other = ground.new(State.QUEUED)
    ground.elapse(timedelta(days=6, hours=23))
    assert ground.queue.add([keyed(ground, other, "b" * 64)]) == [AddRefused.KEY_CONFLICT]
    [again] = ground.queue.add([keyed(ground, other, "a" * 64)])
    assert isinstance(again, Added)
    assert (again.ids, again.replayed) == (first.ids, True)
    ground.elapse(timedelta(hours=2))
    [anew] = ground.queue.add([keyed(ground, other, "b" * 64)])
    assert isinstance(anew, Added)
    assert replace(anew, at=None) == Added((other.id,))
