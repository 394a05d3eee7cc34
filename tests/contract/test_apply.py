"""Queue.apply: guarded transitions, one event each, everything of one commit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from common.core.lifecycle import Detail, NextStep, move
from common.core.task import Effect, Failure, OutcomeKind, Risk, State
from common.ports import Claim
from tests.contract.ground import (
    DAY,
    LEASE,
    Ground,
    done,
    gave_up,
    lease_lost,
    not_done,
    retry,
    step,
    succeeded,
    unknown,
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


def test_a_late_worker_changes_no_state_but_its_outcome_is_kept(ground: Ground) -> None:
    """I3: the fencing token has passed; what it knows of its attempt is appended all the same."""
    held = ground.running()
    begun = ground.begun(held)
    ground.elapse(timedelta(seconds=61))
    rescue = move(
        held, "lease_lost", State.MANUAL, DAY, "schedule", ended=unknown(number=begun.number), only_if_due=True
    )
    assert ground.apply(rescue)
    assert not ground.apply(succeeded(held, done(number=begun.number, output={"status": 200})))
    after = ground.get(held.id)
    assert after.state is State.MANUAL
    [attempt] = after.trail
    assert (attempt.outcome, attempt.output) == (OutcomeKind.DONE, {"status": 200})
    assert ground.kinds(held) == ["submitted", "started", "lease_lost"]


def test_a_late_outcome_does_not_overrule_a_person(ground: Ground) -> None:
    """I6: what a person decided of an attempt stays decided."""
    held = ground.running()
    begun = ground.begun(held)
    assert ground.apply(gave_up(held, unknown(number=begun.number)))
    manual = ground.get(held.id)
    said = ground.by_person(not_done(number=begun.number))
    assert ground.apply(move(manual, "outcome_given", State.QUEUED, timedelta(0), "person", ended=said))
    assert not ground.apply(succeeded(held, done(number=begun.number)))
    assert ground.get(held.id).trail[0].outcome is OutcomeKind.NOT_DONE


def test_a_persons_word_counts_only_with_its_transition(ground: Ground) -> None:
    """I6: of two people who say different things only the first is believed, and the second is told."""
    held = ground.running()
    begun = ground.begun(held)
    assert ground.apply(gave_up(held, unknown(number=begun.number)))
    manual = ground.get(held.id)
    assert ground.apply(move(manual, "cancelled", State.CANCELLED, None, "person"))
    said = ground.by_person(done(number=begun.number))
    assert not ground.apply(move(manual, "outcome_given", State.QUEUED, timedelta(0), "person", ended=said))
    assert ground.get(held.id).trail[0].outcome is OutcomeKind.UNKNOWN


def test_a_late_done_never_stands_beside_a_newer_attempt(ground: Ground) -> None:
    """I6: one open or done attempt a step, whatever order the outcomes come in."""
    held = ground.running()
    begun = ground.begun(held, effect=Effect.IDEMPOTENT)
    ground.elapse(timedelta(seconds=61))
    assert ground.apply(lease_lost(held, unknown(number=begun.number)))
    owner = ground.claimed(ground.get(held.id), "b")
    ground.begun(owner, effect=Effect.IDEMPOTENT)
    assert not ground.apply(succeeded(held, done(number=begun.number)))
    assert ground.apply(succeeded(owner, done(number=2)))
    outcomes = [a.outcome for a in ground.get(held.id).trail]
    assert outcomes.count(OutcomeKind.DONE) == 1
    assert outcomes[1] is OutcomeKind.DONE


def test_the_next_step_stays_running_without_an_event(ground: Ground) -> None:
    """A finished step with another behind it is kept under the same lease."""
    held = ground.running()
    begun = ground.begun(held)
    nxt = NextStep(task_id=held.id, lease_no=held.lease_no, ended=done(number=begun.number, output=7))
    assert ground.apply(nxt)
    assert not ground.apply(nxt)
    after = ground.get(held.id)
    assert (after.state, after.event_seq, after.done) == (State.RUNNING, held.event_seq, {"one": 7})
    assert after.next_step is not None
    assert after.next_step.id == "two"


def test_a_stale_next_step_keeps_its_outcome_only(ground: Ground) -> None:
    """I3: also between steps the lease number decides."""
    held = ground.running()
    begun = ground.begun(held)
    nxt = NextStep(task_id=held.id, lease_no=held.lease_no + 1, ended=done(number=begun.number, output=7))
    assert not ground.apply(nxt)
    assert ground.get(held.id).done == {"one": 7}


def test_a_step_without_effect_is_recorded_whole(ground: Ground) -> None:
    """Nothing leaves the installation, so no begin record; its row is made with its end."""
    held = ground.running()
    assert ground.apply(NextStep(task_id=held.id, lease_no=held.lease_no, ended=done(number=None, output=[1])))
    assert ground.apply(succeeded(held, done("two", None, output={"a": 1})))
    after = ground.get(held.id)
    assert [(a.step_id, a.number, a.effect) for a in after.trail] == [("one", 1, Effect.NONE), ("two", 1, Effect.NONE)]
    assert after.done == {"one": [1], "two": {"a": 1}}


def test_a_lost_run_and_a_failed_run_cost_an_attempt(ground: Ground) -> None:
    """One limit for both; a snooze and a release cost nothing."""
    held = ground.running()
    assert ground.apply(retry(held))
    assert ground.get(held.id).attempts == 1
    held = ground.claimed(ground.get(held.id))
    assert ground.apply(move(held, "snoozed", State.QUEUED, timedelta(0), "execute", waiting_for="paused"))
    held = ground.claimed(ground.get(held.id))
    assert ground.apply(move(held, "released", State.QUEUED, timedelta(0), "execute"))
    held = ground.claimed(ground.get(held.id))
    ground.elapse(timedelta(seconds=61))
    assert ground.apply(lease_lost(held))
    assert ground.get(held.id).attempts == 2


def test_a_replan_is_counted_and_a_new_plan_starts_its_attempts_afresh(ground: Ground) -> None:
    """Attempts count since the plan; replans since a person last acted."""
    held = ground.running()
    assert ground.apply(retry(held))
    held = ground.claimed(ground.get(held.id))
    assert ground.apply(move(held, "replanned", State.RECEIVED, timedelta(0), "execute"))
    assert ground.get(held.id).replans == 1
    held = ground.claimed(ground.get(held.id))
    plan = ground.plan(step("other"), number=2)
    decided = move(
        held, "plan_decided", State.QUEUED, timedelta(0), "analyze", plan=plan, kind_of_task="fetch", priority=7
    )
    assert ground.apply(decided)
    after = ground.get(held.id)
    assert (after.attempts, after.replans, after.plan) == (0, 1, plan)
    assert (after.kind, after.priority) == ("fetch", 7)


def test_a_person_starts_both_counters_afresh(ground: Ground) -> None:
    """A person who retries gets the full number of attempts and replans again."""
    held = ground.running()
    assert ground.apply(move(held, "replanned", State.RECEIVED, timedelta(0), "execute"))
    held = ground.claimed(ground.get(held.id))
    assert ground.apply(move(held, "analysis_failed", State.MANUAL, DAY, "analyze"))
    manual = ground.get(held.id)
    assert ground.apply(move(manual, "retried", State.QUEUED, timedelta(0), "person"))
    after = ground.get(held.id)
    assert (after.attempts, after.replans) == (0, 0)


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
