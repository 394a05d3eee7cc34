"""Queue.apply: outcomes of attempts, late or not, and what attempts and replans are counted as."""

from __future__ import annotations

from datetime import timedelta

from common.core.lifecycle import NextStep, move
from common.core.task import Effect, OutcomeKind, State
from tests.contract.ground import (
    DAY,
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
