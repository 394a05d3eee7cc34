"""Queue.claim, renew, due and request_cancel: who holds a task, and until when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from common.core.lifecycle import Ask, Ended, NextStep, move
from common.core.task import OutcomeKind, State
from tests.contract.ground import DAY, LEASE, Ground, gave_up, lease_lost, not_done, retry, succeeded, unknown


def test_a_claim_leases_the_task_and_leaves_one_event(ground: Ground) -> None:
    """I2, I3: the claim is a transition like any other, and raises the fencing token."""
    task = ground.submit()
    [held] = ground.queue.claim(State.QUEUED, "w", 10, LEASE)
    assert (held.id, held.state, held.lease_no) == (task.id, State.RUNNING, task.lease_no + 1)
    assert held.event_seq == task.event_seq + 1
    assert ground.kinds(task) == ["submitted", "started"]


def test_a_claim_of_received_is_an_analysis(ground: Ground) -> None:
    """`analyze` claims from the other queue, into its own state."""
    task = ground.submit(State.RECEIVED)
    assert ground.queue.claim(State.QUEUED, "w", 10, LEASE) == []
    [held] = ground.queue.claim(State.RECEIVED, "w", 10, LEASE)
    assert (held.id, held.state) == (task.id, State.ANALYZING)
    assert ground.kinds(task) == ["submitted", "analysis_started"]


def test_never_two_live_leases_on_one_task(ground: Ground) -> None:
    """I3: what is leased is not claimed again, not even when its lease is over: only rescue gives it back."""
    ground.running()
    assert ground.queue.claim(State.QUEUED, "b", 10, LEASE) == []
    ground.elapse(timedelta(seconds=61))
    assert ground.queue.claim(State.QUEUED, "b", 10, LEASE) == []


def test_nothing_due_is_an_empty_list(ground: Ground) -> None:
    """A claim never waits."""
    assert ground.queue.claim(State.QUEUED, "w", 10, LEASE) == []


def test_a_claim_takes_no_more_than_asked(ground: Ground) -> None:
    """`limit` bounds the batch."""
    for _ in range(5):
        ground.submit()
    assert len(ground.queue.claim(State.QUEUED, "w", 3, LEASE)) == 3
    assert len(ground.queue.claim(State.QUEUED, "w", 3, LEASE)) == 2


def test_higher_priority_is_claimed_first(ground: Ground) -> None:
    """`claim_order` is when it became ready, minus a span per priority."""
    low, high = ground.submit(priority=1), ground.submit(priority=9)
    claimed = [t.id for _ in range(2) for t in ground.queue.claim(State.QUEUED, "w", 1, LEASE)]
    assert claimed == [high.id, low.id]


def test_a_low_priority_does_not_starve(ground: Ground) -> None:
    """One priority level is worth a minute of waiting, no more."""
    old = ground.submit(priority=1)
    ground.elapse(timedelta(minutes=20))
    new = ground.submit(priority=9)
    claimed = [t.id for _ in range(2) for t in ground.queue.claim(State.QUEUED, "w", 1, LEASE)]
    assert claimed == [old.id, new.id]


def test_a_busy_workspace_does_not_shut_out_another(ground: Ground) -> None:
    """Fair between workspaces: each gets its share of a claim."""
    for _ in range(20):
        ground.submit()
    other = ground.submit(by=ground.outsider)
    assert other.id in {t.id for t in ground.queue.claim(State.QUEUED, "w", 10, LEASE)}


def test_a_claim_leaves_out_whom_it_is_told_to(ground: Ground) -> None:
    """Theirs stay as they are: no event, no lease; the next claim takes them."""
    task, other = ground.submit(), ground.submit(by=ground.outsider)
    assert [t.id for t in ground.queue.claim(State.QUEUED, "w", 10, LEASE, [ground.home])] == [other.id]
    assert ground.queue.claim(State.QUEUED, "w", 10, LEASE, {ground.home, ground.neighbour}) == []
    assert ground.kinds(task) == ["submitted"]
    assert [t.id for t in ground.queue.claim(State.QUEUED, "w", 10, LEASE)] == [task.id]


def test_a_paused_workspace_is_not_executed_but_still_analysed(ground: Ground) -> None:
    """A pause stops execution; intake and analysis go on."""
    queued, received = ground.submit(), ground.submit(State.RECEIVED)
    elsewhere = ground.submit(by=ground.outsider)
    ground.workspace.pause(ground.home, "look first", ground.rules.id)
    assert [t.id for t in ground.queue.claim(State.QUEUED, "w", 10, LEASE)] == [elsewhere.id]
    assert [t.id for t in ground.queue.claim(State.RECEIVED, "w", 10, LEASE)] == [received.id]
    ground.workspace.pause(ground.home, None, ground.rules.id)
    assert [t.id for t in ground.queue.claim(State.QUEUED, "w", 10, LEASE)] == [queued.id]


def test_only_the_last_lease_can_commit(ground: Ground) -> None:
    """I3: of two workers that held one task in turn, only the later one commits."""
    late = ground.running()
    ground.elapse(timedelta(seconds=61))
    assert ground.apply(lease_lost(late))
    owner = ground.claimed(ground.get(late.id), "b")
    assert not ground.apply(succeeded(late))
    assert ground.apply(succeeded(owner))


def test_a_renewal_extends_only_what_is_still_held(ground: Ground) -> None:
    """I3: a lease is renewed by its number; another's, or a finished task's, is left alone."""
    held, finished = ground.running(), ground.running()
    assert ground.apply(succeeded(finished))
    ground.elapse(timedelta(seconds=40))
    wanted = [(held.id, held.lease_no), (finished.id, finished.lease_no)]
    assert ground.queue.renew(wanted, LEASE) == {held.id}
    assert ground.queue.renew([(held.id, held.lease_no + 1)], LEASE) == frozenset()
    ground.elapse(timedelta(seconds=40))
    assert held.id not in ground.due_ids()
    ground.elapse(timedelta(seconds=21))
    assert held.id in ground.due_ids()


def test_a_renewal_never_shortens_a_lease(ground: Ground) -> None:
    """A begun attempt extended the lease to its end; a shorter renewal must not take that back."""
    held = ground.running()
    assert ground.queue.renew([(held.id, held.lease_no)], timedelta(seconds=10)) == {held.id}
    ground.elapse(timedelta(seconds=50))
    assert held.id not in ground.due_ids()


@pytest.mark.parametrize("target", [State.QUEUED, State.RECEIVED])
def test_what_a_function_claims_is_not_maintenance(ground: Ground, target: State) -> None:
    """`due` hands out only what nobody claims."""
    task = ground.submit(target)
    ground.elapse(DAY)
    assert task.id not in ground.due_ids()


@pytest.mark.parametrize("target", [State.QUEUED, State.RECEIVED])
def test_a_lost_lease_is_due(ground: Ground, target: State) -> None:
    """I9: a task whose worker died is looked at once the lease is over, not before."""
    held = ground.claimed(ground.submit(target))
    assert held.id not in ground.due_ids()
    ground.elapse(timedelta(seconds=61))
    assert held.id in ground.due_ids()


def test_an_expired_approval_and_a_reminder_are_due(ground: Ground) -> None:
    """I9: waiting for a person is looked at again, too."""
    waiting, manual = ground.submit(State.AWAITING_APPROVAL), ground.manual()
    assert ground.due_ids() == set()
    ground.elapse(DAY + timedelta(seconds=1))
    assert ground.due_ids() == {waiting.id, manual.id}


def test_an_attempt_in_flight_is_not_rescued(ground: Ground) -> None:
    """I6: before `must_end_by` + 5 s nobody else speaks for an attempt, by `due` or by a guarded change."""
    held = ground.running()
    begun = ground.begun(held, timeout=timedelta(seconds=100))
    rescue = lease_lost(held, unknown(number=begun.number))
    ground.elapse(timedelta(seconds=103))
    assert held.id not in ground.due_ids()
    assert not ground.apply(rescue)
    assert ground.get(held.id).trail[0].outcome is None
    ground.elapse(timedelta(seconds=3))
    assert held.id in ground.due_ids()
    assert ground.apply(rescue)


def test_a_lease_that_is_over_is_not_revived(ground: Ground) -> None:
    """I3: a worker that comes back too late finds that it holds nothing; rescue may be about to take it."""
    held = ground.running()
    ground.elapse(timedelta(seconds=61))
    assert ground.queue.renew([(held.id, held.lease_no)], LEASE) == frozenset()
    assert held.id in ground.due_ids()


def test_a_cancel_of_a_running_task_is_a_request(ground: Ground) -> None:
    """A running task is cancelled by whoever holds it, once no attempt is open."""
    held = ground.running()
    assert ground.queue.request_cancel(ground.home, held.id, "changed my mind", f"person:{ground.asks.id}")
    now = ground.get(held.id)
    assert (now.state, now.cancel_requested) == (State.RUNNING, True)
    assert ground.kinds(held) == ["submitted", "started"]


@pytest.mark.parametrize("target", [State.RECEIVED, State.QUEUED, State.AWAITING_APPROVAL])
def test_a_cancel_request_is_only_for_leased_tasks(ground: Ground, target: State) -> None:
    """Any other state is cancelled by a transition; the request says no."""
    task = ground.submit(target)
    assert not ground.queue.request_cancel(ground.home, task.id, None, "person")
    assert not ground.get(task.id).cancel_requested


def test_another_workspace_cannot_cancel(ground: Ground) -> None:
    """Another workspace's task is absent."""
    held = ground.running()
    assert not ground.queue.request_cancel(ground.neighbour, held.id, None, "person")


def test_a_cancelled_task_that_is_put_back_is_claimed_at_once(ground: Ground) -> None:
    """A request outlives the worker: the next one comes now, whatever the backoff, and finds it."""
    held = ground.running()
    begun = ground.begun(held)
    assert ground.queue.request_cancel(ground.home, held.id, None, "person")
    assert ground.apply(retry(held, seconds=300, ended=not_done(number=begun.number)))
    [again] = ground.queue.claim(State.QUEUED, "b", 10, LEASE)
    assert again.cancel_requested


@pytest.mark.parametrize("target", [State.AWAITING_APPROVAL, State.MANUAL])
def test_a_cancel_request_is_looked_at_wherever_the_task_goes(ground: Ground, target: State) -> None:
    """I9: the worker did not know of it, so maintenance must, and now: not at the reminder of tomorrow."""
    held = ground.running()
    assert ground.queue.request_cancel(ground.home, held.id, None, "person")
    ask = Ask(digest="v1:sha256:" + "a" * 64, requested_by=ground.asks.id, expires_in=DAY)
    change = (
        gave_up(held)
        if target is State.MANUAL
        else move(held, "approval_needed", State.AWAITING_APPROVAL, DAY, "execute", ask=ask)
    )
    assert ground.apply(change)
    assert held.id in ground.due_ids()
    assert ground.get(held.id).cancel_requested


def test_a_cancel_that_a_worker_carries_out_is_the_persons_who_asked(ground: Ground) -> None:
    """I2: the history names who wanted it, and why."""
    held = ground.running()
    assert ground.queue.request_cancel(ground.home, held.id, "changed my mind", f"person:{ground.asks.id}")
    assert ground.apply(move(held, "cancelled", State.CANCELLED, None, "execute"))
    record = ground.reads.task(ground.home, held.id)
    assert record is not None
    assert (record.last_actor, record.last_note) == (ground.asks.person.name, "changed my mind")


def test_a_deadline_is_handed_out_as_a_duration(ground: Ground) -> None:
    """Code never compares clocks: what is left of a deadline is the store's to say."""
    task = ground.submit(deadline=ground.now() + timedelta(minutes=10))
    ground.elapse(timedelta(minutes=4))
    left = ground.get(task.id).deadline_in
    assert left is not None
    assert timedelta(minutes=5, seconds=30) < left <= timedelta(minutes=6)


def test_a_wait_is_over_by_the_stores_clock(ground: Ground) -> None:
    """A `wait` step's end is stored as a time; the task says whether it has passed."""
    held = ground.running()
    assert held.wait_over is None
    pause = timedelta(minutes=5)
    assert ground.apply(move(held, "snoozed", State.QUEUED, pause, "execute", waiting_for="delay", wait_until=pause))
    assert ground.get(held.id).wait_over is False
    assert ground.get(held.id).waiting_for == "delay"
    ground.elapse(pause + timedelta(seconds=1))
    assert ground.claimed(ground.get(held.id)).wait_over is True


def test_a_wait_that_is_over_stays_over_whoever_loses_the_task(ground: Ground) -> None:
    """A worker that dies, or is told to stop, as the time has come does not make the task wait all of it again."""
    held, pause = ground.running(), timedelta(minutes=5)
    assert ground.apply(move(held, "snoozed", State.QUEUED, pause, "execute", waiting_for="delay", wait_until=pause))
    ground.elapse(pause + timedelta(seconds=1))
    again = ground.claimed(ground.get(held.id))
    assert ground.apply(move(again, "released", State.QUEUED, timedelta(0), "execute"))
    held = ground.claimed(ground.get(held.id))
    assert held.wait_over is True
    done = Ended(step_id="a", number=None, outcome=OutcomeKind.DONE)
    assert ground.apply(NextStep(task_id=held.id, lease_no=held.lease_no, ended=done))
    assert ground.get(held.id).wait_over is None


def test_what_waits_for_money_is_due_once_there_is_some_and_nothing_else_is(ground: Ground) -> None:
    """I2, I9: a raised limit is felt at once; when to look again is no event, and another's wait is another's."""
    hour = timedelta(hours=1)
    texts = [ground.claimed(ground.submit(State.RECEIVED)) for _ in range(2)]
    run = ground.running()
    for task, what in zip(texts, ("budget", "provider"), strict=True):
        assert ground.apply(move(task, "deferred", State.RECEIVED, hour, "analyze", waiting_for=what))
    assert ground.apply(move(run, "snoozed", State.QUEUED, hour, "execute", waiting_for="budget"))
    before = ground.kinds(texts[0])
    assert ground.queue.hasten(ground.neighbour, "budget") == 0
    assert ground.queue.hasten(ground.home, "budget") == 2
    assert ground.queue.hasten(ground.home, "budget") == 0
    assert [t.id for t in ground.queue.claim(State.RECEIVED, "w", 10, LEASE)] == [texts[0].id]
    assert [t.id for t in ground.queue.claim(State.QUEUED, "w", 10, LEASE)] == [run.id]
    assert ground.kinds(texts[0]) == [*before, "analysis_started"]
