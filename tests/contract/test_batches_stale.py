"""Batches: whoever stood still between a look and what it decides."""

from __future__ import annotations

from datetime import timedelta

from common.ports import (
    SEND_WITHIN,
)  # fmt: skip
from tests.contract.batching import CENT, KEY, asking, only, opened, seen, waiting
from tests.contract.ground import Ground, fresh_id


def test_what_was_found_meanwhile_is_not_given_back(ground: Ground) -> None:
    """I7: seen without an id, and named since: the view is stale, and its reservation stays."""
    batch = opened(ground, asking(fresh_id()))
    ground.elapse(timedelta(minutes=20))
    assert ground.batches.name(batch, "msgbatch_1", certain=False)
    assert not ground.batches.give_up(batch, None, billed=False)
    assert not ground.batches.give_up(batch, "msgbatch_another", billed=False)
    assert not ground.batches.give_up(batch, "msgbatch_another", billed=True)
    assert seen(ground) == (0, CENT)
    assert ground.batches.give_up(batch, "msgbatch_1", billed=False)
    assert not ground.batches.give_up(batch, "msgbatch_1", billed=True)
    assert seen(ground) == (0, 0)


def test_what_is_certainly_ours_is_never_given_back(ground: Ground) -> None:
    """I7: gone or not, it may have been billed; assumed in full, once."""
    batch = opened(ground, asking(fresh_id()))
    assert ground.batches.name(batch, "msgbatch_1", certain=True)
    assert not ground.batches.give_up(batch, "msgbatch_1", billed=False)
    assert ground.batches.give_up(batch, "msgbatch_1", billed=True)
    assert not ground.batches.give_up(batch, "msgbatch_1", billed=True)
    assert seen(ground) == (CENT, 0)


def test_its_age_is_the_databases(ground: Ground) -> None:
    """I7: whatever the caller's clock says, what is too young stays open."""
    batch = opened(ground, asking(fresh_id()))
    ground.elapse(timedelta(minutes=14))
    assert not ground.batches.give_up(batch, None, billed=False, after=timedelta(minutes=15))
    assert seen(ground) == (0, CENT)
    ground.elapse(timedelta(minutes=2))
    assert ground.batches.give_up(batch, None, billed=False, after=timedelta(minutes=15))
    assert seen(ground) == (0, 0)
    assert ground.batches.is_free(KEY)


def test_tasks_of_a_closed_batch_are_due_at_once(ground: Ground) -> None:
    """I9: whoever closed it and died leaves nobody parked for a day."""
    batch, other = opened(ground, asking(fresh_id())), opened(ground, asking(fresh_id()), key="another")
    task, beside = waiting(ground, batch), waiting(ground, other)
    assert task.id not in ground.due_ids()
    assert ground.batches.give_up(batch, None, billed=False)
    assert task.id in ground.due_ids()
    assert beside.id not in ground.due_ids()
    assert ground.kinds(task) == ["submitted", "analysis_started", "batched"]


def test_who_stood_still_sends_nothing(ground: Ground) -> None:
    """I7: beyond its time, or closed meanwhile, it may not be sent: nobody would look for what comes of it."""
    batch = opened(ground, asking(fresh_id()))
    assert ground.batches.begin(batch)
    ground.elapse(SEND_WITHIN)
    assert not ground.batches.begin(batch)
    assert ground.batches.give_up(batch, None, billed=False)
    again = opened(ground, asking(fresh_id()))
    assert ground.batches.give_up(again, None, billed=False)
    assert not ground.batches.begin(again)
    assert not ground.batches.begin(fresh_id())


def test_what_is_being_sent_is_looked_at_when_its_answer_is_due(ground: Ground) -> None:
    """Between the record and the request there may be minutes: its answer has its time from then on."""
    batch = opened(ground, asking(fresh_id()))
    ground.elapse(timedelta(minutes=2))
    assert ground.batches.begin(batch)
    ground.elapse(timedelta(minutes=2))
    assert ground.batches.due(10) == []
    ground.elapse(timedelta(minutes=2))
    assert only(ground.batches.due(10)).id == batch
