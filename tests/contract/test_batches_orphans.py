"""Batches: of which call each of the provider's is, and those that came of a request twice."""

from __future__ import annotations

from datetime import timedelta

from common.ports import (
    Bill,
    Usage,
    custom_id,
)  # fmt: skip
from tests.contract.batching import CENT, KEY, MINUTE, asking, only, opened, seen
from tests.contract.ground import Ground, fresh_id


def test_a_providers_batch_is_of_one_call(ground: Ground) -> None:
    """I7: what one call collects no other books."""
    first = opened(ground, asking(fresh_id()))
    assert ground.batches.name(first, "msgbatch_1", certain=True)
    second = opened(ground, asking(fresh_id()))
    assert not ground.batches.name(second, "msgbatch_1", certain=False)
    assert ground.batches.known(["msgbatch_1", 'msg"\\batch', "msgbatch_2"]) == {"msgbatch_1"}


def test_an_orphan_is_on_record_beside_its_call(ground: Ground) -> None:
    """I7: what came of a request twice is booked twice, even of a call that was thought not to have been made."""
    task = fresh_id()
    batch = opened(ground, asking(task))
    ground.budget.void(batch)
    assert ground.batches.orphan(batch, "msgbatch_late", certain=True)
    assert not ground.batches.orphan(batch, "msgbatch_late", certain=True)
    found = only(ground.batches.due(10))
    assert found.id != batch
    assert (found.of, found.asked, found.certain, found.reason) == (batch, (asking(task),), True, "orphan")
    assert found.custom_id(0) == custom_id(batch, 0)
    assert seen(ground) == (0, 1)
    ground.budget.settle(found.id, Bill(usage=Usage(output=9), cost=500))
    assert seen(ground) == (500, 0)


def test_what_only_may_be_an_orphans_is_taken_by_whose_it_is(ground: Ground) -> None:
    """I7: the provider's batch of one call that stood beside another's is not lost to it."""
    first = opened(ground, asking(fresh_id()))
    assert ground.batches.name(first, "msgbatch_1", certain=False)
    second = opened(ground, asking(fresh_id()))
    assert ground.batches.orphan(first, "msgbatch_2", certain=False)
    assert ground.batches.known(["msgbatch_1", "msgbatch_2"]) == {"msgbatch_1"}
    assert not ground.batches.name(second, "msgbatch_2", certain=False, instead_of="msgbatch_9")
    assert seen(ground) == (0, 2 * CENT + 1)
    assert ground.batches.name(second, "msgbatch_2", certain=False)
    assert seen(ground) == (0, 2 * CENT)
    assert ground.batches.known(["msgbatch_2"]) == {"msgbatch_2"}
    ground.elapse(MINUTE)
    assert {(b.id, b.provider_id) for b in ground.batches.due(10)} == {(first, "msgbatch_1"), (second, "msgbatch_2")}


def test_what_was_another_calls_after_all_is_booked_with_that_call(ground: Ground) -> None:
    """I7: of a call that is closed it is an orphan; nobody takes what certainly is one, or of a call that is not."""
    first = opened(ground, asking(fresh_id()))
    assert ground.batches.name(first, "msgbatch_1", certain=True)
    second = opened(ground, asking(fresh_id()))
    assert ground.batches.name(second, "msgbatch_2", certain=False)
    third = opened(ground, asking(fresh_id()))
    assert not ground.batches.orphan(first, "msgbatch_2", certain=True)
    assert ground.batches.give_up(second, "msgbatch_2", billed=False)
    assert not ground.batches.orphan(first, "msgbatch_2", certain=False)
    assert not ground.batches.orphan(fresh_id(), "msgbatch_2", certain=True)
    assert not ground.batches.name(second, "msgbatch_2", certain=True)
    assert ground.batches.known(["msgbatch_2"]) == {"msgbatch_2"}
    assert ground.batches.orphan(first, "msgbatch_2", certain=True)
    assert not ground.batches.name(third, "msgbatch_2", certain=True)
    assert seen(ground) == (0, 2 * CENT + 1)


def test_an_open_batch_lets_go_of_what_is_anothers_in_one_commit(ground: Ground) -> None:
    """I7: at no moment does it stand on no row; the other is looked for again."""
    first = opened(ground, asking(fresh_id()))
    assert ground.batches.name(first, "msgbatch_1", certain=True)
    second = opened(ground, asking(fresh_id()))
    assert ground.batches.name(second, "msgbatch_2", certain=False)
    assert ground.batches.orphan(first, "msgbatch_2", certain=True)
    assert not ground.batches.is_free(KEY)
    ground.elapse(MINUTE)
    found = {b.id: b for b in ground.batches.due(10)}
    assert (found[second].provider_id, found[second].not_ours) == (None, ("msgbatch_2",))
    assert seen(ground) == (0, 2 * CENT + 1)


def test_an_orphan_that_is_gone_costs_as_much_as_what_it_came_of(ground: Ground) -> None:
    """I7: a nanodollar was reserved for it; what it really cost nobody knows any more."""
    batch = opened(ground, asking(fresh_id()))
    ground.budget.settle(batch, Bill(usage=Usage(), cost=7))
    assert ground.batches.orphan(batch, "msgbatch_late", certain=True)
    found = only(ground.batches.due(10))
    assert ground.batches.give_up(found.id, "msgbatch_late", billed=True)
    assert seen(ground) == (7 + CENT, 0)


def test_an_orphan_that_nobody_could_collect_is_assumed_at_its_worst_case(ground: Ground) -> None:
    """I7: after a week, as every batch; a nanodollar was reserved for it, and that is not what it cost."""
    batch = opened(ground, asking(fresh_id(), most=7), asking(fresh_id(), most=5))
    ground.budget.settle(batch, Bill(usage=Usage(), cost=3))
    assert ground.batches.orphan(batch, "msgbatch_late", certain=True)
    ground.elapse(timedelta(days=8))
    assert ground.budget.expire() == 1
    assert seen(ground) == (3 + 12, 0)
