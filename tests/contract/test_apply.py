"""Queue.apply: guarded transitions, one event each, everything of one commit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from common.core.lifecycle import Detail, move
from common.core.task import Failure, Risk, State
from common.ports import Claim
from tests.contract.ground import (
    DAY,
    LEASE,
    Ground,
    done,
    gave_up,
    lease_lost,
    retry,
    step,
    succeeded,
)


def test_a_transition_leaves_exactly_one_event_with_its_detail(ground: Ground) -> None:
    """I2: kind, states, actor and detail are written with the state."""
    held = ground.running()
    failure = Failure(code="http_status", step="one", status=404)
    change = move(held, "gave_up", State.MANUAL, DAY, "execute", detail=Detail(note="attempts_spent", failure=failure))
    assert ground.apply(change)
    last = ground.events(held)[-1]
    assert (last.seq, last.kind, last.from_state, last.to_state) == (3, "gave_up", State.RUNNING, State.MANUAL)
    assert last.actor == "execute"
    after = ground.get(held.id)
    assert (after.state, after.event_seq, after.failure) == (State.MANUAL, 3, failure)
    record = ground.reads.task(ground.home, held.id)
    assert record is not None
    assert (record.last_actor, record.last_note, record.failure) == ("execute", "attempts_spent", failure)


def test_events_are_numbered_without_a_gap_and_chained(ground: Ground) -> None:
    """I2: a task's events form one chain: every number once, every hash its own."""
    held = ground.running()
    assert ground.apply(retry(held))
    held = ground.claimed(ground.get(held.id))
    assert ground.apply(succeeded(held))
    events = ground.events(held)
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert len({e.hash for e in events}) == len(events)
    assert all(e.hash for e in events)
    assert [e.from_state for e in events[1:]] == [e.to_state for e in events[:-1]]


def test_a_batch_sent_again_applies_nothing_twice(ground: Ground) -> None:
    """I2, I3: after a lost answer the whole batch may be sent again."""
    one, two = ground.running(), ground.running()
    batch = [succeeded(one), retry(two)]
    assert ground.queue.apply(batch) == {one.id, two.id}
    assert ground.queue.apply(batch) == frozenset()
    assert ground.kinds(one) == ["submitted", "started", "succeeded"]
    assert ground.kinds(two) == ["submitted", "started", "retry_planned"]


def test_a_stale_change_does_not_hold_up_its_batch(ground: Ground) -> None:
    """A stale one is left out, not raised; the rest of the batch is applied."""
    good, stale = ground.running(), ground.running()
    assert ground.queue.apply([replace(succeeded(stale), lease_no=stale.lease_no - 1), succeeded(good)]) == {good.id}


def test_the_state_is_guarded(ground: Ground) -> None:
    """I2: a transition from a state that has passed changes nothing."""
    task = ground.submit()
    cancel = move(task, "cancelled", State.CANCELLED, None, "person")
    ground.claimed(task)
    assert not ground.apply(cancel)


def test_without_a_lease_the_event_number_is_guarded(ground: Ground) -> None:
    """I2: two decisions on what was read once: the second finds that something happened since."""
    task = ground.submit(State.AWAITING_APPROVAL)
    again = move(task, "reassessed", State.AWAITING_APPROVAL, DAY, "schedule")
    assert ground.apply(again)
    assert not ground.apply(again)
    assert not ground.apply(move(task, "cancelled", State.CANCELLED, None, "person"))
    assert ground.kinds(task) == ["submitted", "reassessed"]


def test_a_guard_on_being_due_is_read_by_the_stores_clock(ground: Ground) -> None:
    """I3: maintenance speaks only of what is due when its statement runs."""
    held = ground.running()
    assert not ground.apply(lease_lost(held))
    ground.elapse(timedelta(seconds=61))
    assert ground.apply(lease_lost(held))


def test_backoff_holds_a_task_back(ground: Ground) -> None:
    """Durations are added to the store's clock."""
    held = ground.running()
    assert ground.apply(retry(held, seconds=30))
    assert ground.queue.claim(State.QUEUED, "w", 10, DAY) == []
    ground.elapse(timedelta(seconds=31))
    assert [t.id for t in ground.queue.claim(State.QUEUED, "w", 10, DAY)] == [held.id]


@pytest.mark.parametrize(
    ("kind", "target"), [("snoozed", State.QUEUED), ("gave_up", State.MANUAL), ("replanned", State.RECEIVED)]
)
def test_every_live_state_is_looked_at_again(ground: Ground, kind: str, target: State) -> None:
    """I9: `next_check_at` is set wherever a task may still go on."""
    held = ground.running()
    assert ground.apply(move(held, kind, target, timedelta(minutes=1), "execute"))
    record = ground.reads.task(ground.home, held.id)
    assert record is not None
    assert record.next_check_at is not None
    assert record.finished_at is None


def test_an_ending_is_final(ground: Ground) -> None:
    """I9: a finished task has no next look, and a time at which it ended; nothing is claimed or due any more."""
    held = ground.running(plan=ground.plan(step("one")))
    assert ground.apply(succeeded(held, done(number=None, output="x")))
    record = ground.reads.task(ground.home, held.id)
    assert record is not None
    assert (record.next_check_at, record.has_result, record.result) == (None, True, "x")
    assert record.finished_at is not None
    ground.elapse(30 * DAY)
    assert ground.due_ids() == set()
    assert ground.queue.claim(State.QUEUED, "w", 10, DAY) == []


def test_a_retry_is_not_later_than_the_deadline(ground: Ground) -> None:
    """I9: a backoff never hides a deadline."""
    held = ground.running(deadline=ground.now() + timedelta(minutes=10))
    assert ground.apply(retry(held, seconds=3600))
    ground.elapse(timedelta(minutes=11))
    assert ground.claimed(ground.get(held.id)).id == held.id


@pytest.mark.parametrize("kind", ["replanned", "cancelled"])
def test_an_end_of_the_wait_closes_the_approval(ground: Ground, kind: str) -> None:
    """I4: what was approved is not approved for something else, nor after the end."""
    held = ground.claimed(ground.approved())
    assert ground.approvals.open(ground.home, held.id) is not None
    target = State.RECEIVED if kind == "replanned" else State.CANCELLED
    assert ground.apply(move(held, kind, target, None if target is State.CANCELLED else timedelta(0), "execute"))
    assert ground.approvals.open(ground.home, held.id) is None


def test_a_wait_for_a_person_keeps_the_approval(ground: Ground) -> None:
    """I4: a person may retry under an approval that is still valid."""
    held = ground.claimed(ground.approved(Risk.HIGH))
    assert ground.apply(gave_up(held))
    approval = ground.approvals.open(ground.home, held.id)
    assert approval is not None
    assert ground.approvals.valid(ground.home, held.id, approval.digest)


def test_a_failure_is_handed_to_the_next_reader(ground: Ground) -> None:
    """What a replan is told is the newest failure of the history, also after a claim."""
    held = ground.running()
    failure = Failure(code="timeout", step="one")
    change = move(held, "retry_planned", State.QUEUED, timedelta(0), "execute", detail=Detail(failure=failure))
    assert ground.apply(change)
    assert ground.claimed(ground.get(held.id)).failure == failure


def test_an_empty_batch_is_nothing(ground: Ground) -> None:
    """Every batch may be empty."""
    assert ground.queue.apply([]) == frozenset()
    assert ground.queue.begin([]) == []
    assert ground.queue.add([]) == []
    assert ground.queue.renew([], DAY) == frozenset()
    assert ground.queue.get(ground.home, []) == []


def claims(limit: int = 10) -> Claim:
    """Of what is queued."""
    return Claim(state=State.QUEUED, worker="w", limit=limit, lease=LEASE)


def test_the_end_of_a_batch_and_the_next_claim_are_one_call(ground: Ground) -> None:
    """I2, I3: what is applied and what is claimed are what `apply` and `claim` would have done, an event each."""
    held, following = [ground.running() for _ in range(2)], [ground.submit() for _ in range(3)]
    ends = [succeeded(task, done(number=None)) for task in held]
    applied, claimed = ground.queue.apply_then_claim(ends, claims(2))
    assert applied == {task.id for task in held}
    assert [task.id for task in claimed] == [task.id for task in following[:2]]
    assert [ground.get(task.id).state for task in held] == [State.SUCCEEDED] * 2
    assert ground.kinds(claimed[0]) == ["submitted", "started"]
    assert claimed[0].lease_no == following[0].lease_no + 1


def test_a_stale_end_is_left_out_and_there_is_a_claim_all_the_same(ground: Ground) -> None:
    """I3: whoever has lost a task changes nothing of it, and goes on with others."""
    held = ground.running()
    ground.elapse(LEASE)
    assert ground.apply(lease_lost(ground.get(held.id)))
    other = ground.submit(priority=9)
    applied, claimed = ground.queue.apply_then_claim([succeeded(held, done(number=None))], claims(1))
    assert not applied
    assert [task.id for task in claimed] == [other.id]


def test_what_a_batch_gives_back_may_be_claimed_with_it(ground: Ground) -> None:
    """The claim sees what the batch has left behind: under a new lease, and with its history."""
    held = ground.running()
    back = move(held, "released", State.QUEUED, timedelta(0), "w")
    applied, [again] = ground.queue.apply_then_claim([back], claims())
    assert applied == {held.id}
    assert (again.id, again.lease_no) == (held.id, held.lease_no + 1)
    assert ground.kinds(again) == ["submitted", "started", "released", "started"]
