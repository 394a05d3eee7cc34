"""Batches: on record before they are sent, one unanswered at a time, collected by whoever comes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

from common.core.task import State
from common.ports import (
    ANSWER_IN,
    Asked,
    Bill,
    Checked,
    NotOpened,
    NotReserved,
    Saved,
    Usage,
    custom_id,
)  # fmt: skip
from tests.contract.batching import CENT, KEY, MINUTE, asking, only, opened, request, seen
from tests.contract.ground import Ground, fresh_id

LATER = ANSWER_IN + timedelta(seconds=1)


def test_a_batch_is_on_record_before_it_is_sent(ground: Ground) -> None:
    """I7: its worst case is reserved, and who asks what is stored, whatever becomes of the process."""
    tasks = (fresh_id(), fresh_id(), fresh_id())
    batch = opened(ground, asking(*tasks[:2]), asking(tasks[2]))
    assert seen(ground) == (0, CENT)
    assert ground.batches.due(10) == []
    ground.elapse(LATER)
    found = only(ground.batches.due(10))
    assert (found.id, found.of, found.key, found.workspace) == (batch, batch, KEY, ground.home)
    assert (found.provider_id, found.certain, found.not_ours, found.reserved) == (None, False, (), CENT)
    assert found.asked == (asking(*tasks[:2]), asking(tasks[2]))
    assert (found.model, found.prompt_version, found.reason) == ("small", "1", "first")
    assert ANSWER_IN < found.age < ANSWER_IN + MINUTE
    assert found.custom_id(1) == custom_id(batch, 1) == f"{batch.hex}_1"


def test_a_batch_that_would_pass_the_limit_is_not_opened(ground: Ground) -> None:
    """I7: reserved + spent stays within the month's limit, for batches as for calls."""
    cap = ground.budget.month(ground.home).cap
    assert ground.batches.open(request(ground, cap + 1), KEY, [asking(fresh_id())]) is NotReserved.OVER_BUDGET
    assert ground.batches.is_free(KEY)
    assert seen(ground) == (0, 0)


def test_one_unanswered_batch_a_key(ground: Ground) -> None:
    """I7: of two without an answer nobody could tell which is whose; another key has its own."""
    batch = opened(ground, asking(fresh_id()))
    assert not ground.batches.is_free(KEY)
    assert ground.batches.open(request(ground), KEY, [asking(fresh_id())]) is NotOpened.UNANSWERED
    assert seen(ground) == (0, CENT)
    opened(ground, asking(fresh_id()), key="another")
    assert ground.batches.name(batch, "msgbatch_1", certain=True)
    assert ground.batches.is_free(KEY)
    opened(ground, asking(fresh_id()))


def test_of_many_that_open_at_once_one_does(ground: Ground) -> None:
    """I7: the database refuses the second, whoever looked before."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ground.batches.open(request(ground), KEY, [asking(fresh_id())]), range(16)))
    assert sum(isinstance(m, UUID) for m in made) == 1
    assert sum(m is NotOpened.UNANSWERED for m in made) == 15
    assert seen(ground) == (0, CENT)


def test_what_is_booked_is_no_longer_looked_at(ground: Ground) -> None:
    """I7: settled once; what was reserved beyond the cost is given back, and its key is free."""
    batch = opened(ground, asking(fresh_id()))
    assert ground.batches.name(batch, "msgbatch_1", certain=True)
    ground.budget.settle(batch, Bill(usage=Usage(), cost=7, saved=Saved(batch=7), baseline=14))
    ground.budget.settle(batch, Bill(usage=Usage(), cost=7))
    ground.elapse(timedelta(hours=1))
    assert ground.batches.due(10) == []
    assert ground.batches.next_due() is None
    assert seen(ground) == (7, 0)
    assert not ground.batches.name(batch, "msgbatch_2", certain=True)


def test_a_batch_is_looked_at_by_one_replica_at_a_time(ground: Ground) -> None:
    """Looking takes it off the list for a tenth of its age, within a minute and five."""
    batch = opened(ground, asking(fresh_id()))
    assert ground.batches.name(batch, "msgbatch_1", certain=True)
    ground.elapse(MINUTE)
    assert only(ground.batches.due(10)).provider_id == "msgbatch_1"
    assert ground.batches.due(10) == []
    soon = ground.batches.next_due()
    assert soon is not None
    assert timedelta(seconds=50) < soon <= MINUTE
    ground.elapse(timedelta(hours=2))
    assert only(ground.batches.due(10)).certain
    ground.elapse(timedelta(minutes=4))
    assert ground.batches.due(10) == []
    ground.elapse(timedelta(minutes=2))
    assert only(ground.batches.due(10)).id == batch


def test_what_is_not_certain_gives_way(ground: Ground) -> None:
    """An id that time and count alone spoke for is replaced, and remembered as another's; a certain one stays."""
    batch = opened(ground, asking(fresh_id()))
    assert ground.batches.name(batch, "msgbatch_theirs", certain=False)
    assert ground.batches.name(batch, "msgbatch_ours", certain=True)
    assert not ground.batches.name(batch, "msgbatch_third", certain=True)
    ground.elapse(timedelta(minutes=2))
    found = only(ground.batches.due(10))
    assert (found.provider_id, found.certain, found.not_ours) == ("msgbatch_ours", True, ("msgbatch_theirs",))


def test_a_likely_id_replaces_only_the_one_that_was_seen(ground: Ground) -> None:
    """I7: of two replicas that look at once, the slower does not take another's batch for what the first has found."""
    batch = opened(ground, asking(fresh_id()))
    assert ground.batches.name(batch, "msgbatch_ours", certain=False)
    assert not ground.batches.name(batch, "msgbatch_theirs", certain=False)
    assert ground.batches.name(batch, "msgbatch_ours", certain=False)
    assert not ground.batches.name(batch, "msgbatch_theirs", certain=False, instead_of="msgbatch_third")
    assert ground.batches.name(batch, "msgbatch_theirs", certain=False, instead_of="msgbatch_ours")
    ground.elapse(timedelta(minutes=2))
    assert only(ground.batches.due(10)).not_ours == ("msgbatch_ours",)


def check(cost: int, *tasks: UUID, different: int = 0) -> Checked:
    """What a batch's checks cost and found."""
    return Checked(Bill(usage=Usage(input=3, output=5), cost=cost, saved=Saved(pack=-cost)), tasks, different)


def test_checks_are_booked_out_of_what_is_reserved(ground: Ground) -> None:
    """I7, I12: in a row of their own, once; with what is left the batch itself is settled."""
    first, second = ground.submit(State.RECEIVED).id, ground.submit(State.RECEIVED).id
    batch = opened(ground, asking(first, second), Asked(asking(first).members, CENT, check=True))
    assert ground.batches.checked(batch, check(100, first, second, first, different=1))
    assert not ground.batches.checked(batch, check(100, first))
    assert seen(ground) == (100, CENT - 100)
    ground.budget.settle(batch, Bill(usage=Usage(), cost=700))
    assert seen(ground) == (800, 0)
    spent = ground.costs.month(ground.home)
    checks = spent.whys["analysis", "check"]
    assert (checks.calls, checks.cost, checks.tasks, checks.disagreements) == (1, 100, 3, 1)
    assert (checks.usage, checks.saved) == (Usage(input=3, output=5), Saved(pack=-100))
    assert spent.all.cost == 800


def test_dear_checks_leave_the_batch_on_record(ground: Ground) -> None:
    """I7: whatever they cost, what is on record is never nothing; and what is closed has no checks any more."""
    batch = opened(ground, asking(fresh_id()))
    assert ground.batches.checked(batch, check(CENT))
    assert seen(ground) == (CENT, 1)
    ground.budget.assume_billed(batch)
    assert seen(ground) == (CENT + 1, 0)
    free = opened(ground, asking(fresh_id()))
    assert ground.batches.checked(free, check(0))
    ground.budget.void(free)
    assert seen(ground) == (CENT + 1, 0)
    assert not ground.batches.checked(free, check(1))
    assert not ground.batches.checked(fresh_id(), check(1))


def test_a_batch_that_is_never_answered_is_assumed_billed(ground: Ground) -> None:
    """I7: nobody knows what it cost, so it is booked in full once its results would be of no use."""
    opened(ground, asking(fresh_id()))
    ground.elapse(timedelta(days=8))
    assert ground.budget.expire() == 1
    assert ground.batches.due(10) == []
    assert seen(ground) == (CENT, 0)


def test_what_was_answered_is_said_and_stays_so(ground: Ground) -> None:
    """I7: of one whose making had an answer nothing else can have come."""
    batch = opened(ground, asking(fresh_id()))
    assert ground.batches.name(batch, "msgbatch_1", certain=True)
    ground.elapse(MINUTE)
    assert not only(ground.batches.due(10)).answered
    assert ground.batches.name(batch, "msgbatch_1", certain=True, answered=True)
    assert ground.batches.name(batch, "msgbatch_1", certain=True)
    ground.elapse(MINUTE)
    assert only(ground.batches.due(10)).answered


def test_whose_request_is_on_record_is_known(ground: Ground) -> None:
    """I7: open or closed; a call of its own has no request that anybody looks for."""
    batch = opened(ground, asking(fresh_id()))
    single = ground.budget.reserve(request(ground))
    assert ground.batches.is_on_record(batch)
    ground.budget.void(batch)
    assert ground.batches.is_on_record(batch)
    assert isinstance(single, UUID)
    assert not ground.batches.is_on_record(single)
    assert not ground.batches.is_on_record(fresh_id())
