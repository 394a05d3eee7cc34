"""Batches: tasks that are parked on one, until it is answered, late or cancelled."""

from __future__ import annotations

from datetime import timedelta

from common.core.after_analysis import after_batch, parked
from common.core.lifecycle import move
from common.core.task import State
from tests.contract.batching import MINUTE, asking, opened, waiting
from tests.contract.ground import Ground, fresh_id


def test_a_task_is_not_parked_beyond_its_deadline(ground: Ground) -> None:
    """I9: whoever parks it stood still since it was claimed: what was room then is none now."""
    batch = opened(ground, asking(fresh_id()))
    held = ground.claimed(ground.submit(State.RECEIVED, economy=True, deadline=ground.now() + timedelta(hours=3)))
    ground.elapse(timedelta(hours=2))
    assert ground.apply(parked(held, batch, "analyze"))
    ground.elapse(timedelta(minutes=44))
    assert held.id not in ground.due_ids()
    ground.elapse(timedelta(minutes=2))
    assert held.id in ground.due_ids()


def test_a_parked_task_has_no_lease(ground: Ground) -> None:
    """I3, I9: nobody holds it, nobody claims it, and it is looked at again at a named time."""
    batch = opened(ground, asking(fresh_id()))
    task = waiting(ground, batch)
    assert (task.state, task.batch, task.economy, task.waiting_for) == (State.ANALYZING, batch, True, "provider")
    assert [t.id for t in ground.batches.parked(batch)] == [task.id]
    assert ground.kinds(task) == ["submitted", "analysis_started", "batched"]
    assert ground.reads.queue(ground.home).leases == {}
    ground.elapse(timedelta(hours=24))
    assert task.id not in ground.due_ids()
    assert ground.queue.claim(State.RECEIVED, "w", 10, MINUTE) == []
    ground.elapse(timedelta(hours=2))
    assert task.id in ground.due_ids()
    assert ground.apply(after_batch(ground.get(task.id), "schedule", only_if_due=True))
    now = ground.get(task.id)
    assert (now.state, now.batch, now.economy, now.attempts) == (State.RECEIVED, None, False, 0)
    assert ground.batches.parked(batch) == []


def test_a_parked_task_waits_no_longer_than_its_deadline_allows(ground: Ground) -> None:
    """I9: with a deadline it is looked at while a direct reading is still in time."""
    batch = opened(ground, asking(fresh_id()))
    held = ground.claimed(ground.submit(State.RECEIVED, economy=True, deadline=ground.now() + timedelta(hours=3)))
    assert ground.apply(parked(held, batch, "analyze"))
    ground.elapse(timedelta(hours=2, minutes=30))
    assert held.id not in ground.due_ids()
    ground.elapse(timedelta(minutes=20))
    assert held.id in ground.due_ids()


def test_an_answer_that_comes_late_moves_nothing(ground: Ground) -> None:
    """I3: a task that was rescued, cancelled or taken up meanwhile is not the batch's any more."""
    batch = opened(ground, asking(fresh_id()))
    task = waiting(ground, batch)
    late = move(task, "analysis_failed", State.MANUAL, timedelta(hours=1), "analyze")
    assert ground.apply(after_batch(task, "schedule"))
    assert not ground.apply(late)
    again = ground.claimed(ground.get(task.id))
    assert again.lease_no == task.lease_no + 1
    assert not ground.apply(late)
    assert ground.apply(parked(again, batch, "analyze"))
    assert not ground.apply(late)


def test_a_parked_task_is_cancelled_at_once(ground: Ground) -> None:
    """A request would wait for a lease holder that there is not: it is refused, and the transition is applied."""
    batch = opened(ground, asking(fresh_id()))
    task = waiting(ground, batch)
    assert not ground.queue.request_cancel(ground.home, task.id, None, "person")
    assert ground.apply(move(task, "cancelled", State.CANCELLED, None, "person"))
    assert not ground.apply(move(task, "cancelled", State.CANCELLED, None, "person"))


def test_a_cancel_that_came_before_parking_is_carried_out(ground: Ground) -> None:
    """Asked for while a worker had it, it is due at once, and maintenance cancels it."""
    batch = opened(ground, asking(fresh_id()))
    held = ground.claimed(ground.submit(State.RECEIVED, economy=True))
    assert ground.queue.request_cancel(ground.home, held.id, None, f"person:{ground.asks.id}")
    assert ground.apply(parked(held, batch, "analyze"))
    assert held.id in ground.due_ids()
    change = after_batch(ground.get(held.id), "schedule", only_if_due=True)
    assert change.kind == "cancelled"
    assert ground.apply(change)


def test_a_task_moves_from_batch_to_batch(ground: Ground) -> None:
    """What a stronger model is to read is parked on the next batch, once."""
    first = opened(ground, asking(fresh_id()))
    task = waiting(ground, first)
    assert ground.batches.name(first, "msgbatch_1", certain=True)
    second = opened(ground, asking(task.id))
    assert ground.apply(parked(task, second, "analyze"))
    assert not ground.apply(parked(task, second, "analyze"))
    assert ground.batches.parked(first) == []
    assert [t.id for t in ground.batches.parked(second)] == [task.id]
    assert ground.kinds(task)[-2:] == ["batched", "batched"]
