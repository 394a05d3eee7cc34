"""Queue.begin: the gate, the one statement by which attempts begin."""

from __future__ import annotations

from datetime import timedelta

import pytest

from common.core.lifecycle import Ask, Detail, move
from common.core.policy import APPROVAL_EXPIRES
from common.core.task import EFFECT_UNKNOWN, Effect, Failure, Json, OutcomeKind, Risk, State
from common.ports import Refusal
from tests.contract.ground import DAY, LEASE, Ground, done, gave_up, lease_lost, not_done, retry, step, unknown


def test_an_attempt_is_on_record_before_it_may_run(ground: Ground) -> None:
    """I6: what the gate returns is an open attempt, committed."""
    held = ground.running()
    begun = ground.begun(held)
    [attempt] = ground.get(held.id).trail
    assert (attempt.step_id, attempt.number, attempt.outcome) == ("one", begun.number, None)
    assert attempt.lease_no == held.lease_no
    assert begun.must_end_in <= timedelta(seconds=30)


def test_the_gate_answers_in_order_and_one_refusal_stops_no_other(ground: Ground) -> None:
    """A batch is answered position by position."""
    good, stale = ground.running(), ground.running()
    answers = ground.queue.begin([ground.wants(stale, lease_no=stale.lease_no - 1), ground.wants(good)])
    assert [a.task_id for a in answers] == [stale.id, good.id]
    assert getattr(answers[0], "why", None) is Refusal.STALE
    assert getattr(answers[1], "number", None) == 1


def test_a_stale_lease_begins_nothing(ground: Ground) -> None:
    """I3: neither an old number nor a lease that is over."""
    held = ground.running()
    assert ground.refused(held, lease_no=held.lease_no + 1) is Refusal.STALE
    ground.elapse(timedelta(seconds=61))
    assert ground.refused(held) is Refusal.STALE


def test_a_task_that_is_not_running_begins_nothing(ground: Ground) -> None:
    """I3: a worker that comes back after the rescue is refused."""
    held = ground.running()
    ground.elapse(timedelta(seconds=61))
    assert ground.apply(lease_lost(held))
    assert ground.refused(held) is Refusal.STALE


def test_a_cancel_request_is_seen_at_the_gate(ground: Ground) -> None:
    """Nothing begins after a cancel was acknowledged."""
    held = ground.running()
    assert ground.queue.request_cancel(ground.home, held.id, None, "person")
    assert ground.refused(held) is Refusal.CANCELLED


def test_a_pause_is_seen_at_the_gate(ground: Ground) -> None:
    """Once `pause` has returned no attempt begins, although the task was claimed before."""
    held = ground.running()
    ground.workspace.pause(ground.home, "stop", ground.rules.id)
    assert ground.refused(held) is Refusal.PAUSED
    ground.workspace.pause(ground.home, None, ground.rules.id)
    ground.begun(held)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("policy", {"autorun": "medium"}),
        ("hosts", [{"name": "api.example.com"}]),
        ("functions", {"ocr": {"url": "http://127.0.0.1:9200"}}),
        ("channels", {"ops": "https://hooks.example.com/x"}),
    ],
)
def test_an_assessment_under_an_older_policy_begins_nothing(ground: Ground, name: str, value: Json) -> None:
    """I5: whatever an assessment depends on raises the version that the gate compares."""
    held = ground.running()
    before = ground.version()
    ground.workspace.put(ground.home, name, value, None, ground.rules.id)
    assert ground.version() > before
    assert ground.refused(held, policy_version=before) is Refusal.POLICY_CHANGED
    ground.begun(held)


def test_a_step_that_is_open_or_done_is_not_begun_again(ground: Ground) -> None:
    """I6: one open attempt a step; what is done stays done."""
    held = ground.running()
    begun = ground.begun(held)
    assert ground.refused(held) is Refusal.UNDECIDED
    assert ground.apply(retry(held, ended=done(number=begun.number)))
    again = ground.claimed(ground.get(held.id), "b")
    assert ground.refused(again) is Refusal.UNDECIDED


@pytest.mark.parametrize(("effect", "why"), [(Effect.NON_IDEMPOTENT, Refusal.UNDECIDED), (Effect.IDEMPOTENT, None)])
def test_an_unknown_effect_is_repeated_only_if_it_is_idempotent(
    ground: Ground, effect: Effect, why: Refusal | None
) -> None:
    """I6: an idempotent attempt goes out again under its key, any other never blindly."""
    held = ground.running()
    begun = ground.begun(held, effect=effect)
    assert ground.apply(retry(held, ended=unknown(number=begun.number)))
    again = ground.claimed(ground.get(held.id), "b")
    if why is not None:
        assert ground.refused(again, effect=effect) is why
        return
    assert ground.begun(again, effect=effect).number == begun.number + 1
    first, second = ground.get(held.id).trail
    assert first.idempotency_key == second.idempotency_key


def test_what_could_be_repeated_is_not_once_the_settings_say_otherwise(ground: Ground) -> None:
    """I6: begun as idempotent and unknown, it goes to a person if its repetition would carry no key."""
    held = ground.running()
    for worker in "bc":
        begun = ground.begun(held, effect=Effect.IDEMPOTENT)
        assert ground.apply(retry(held, ended=unknown(number=begun.number)))
        held = ground.claimed(ground.get(held.id), worker)
    assert ground.refused(held, effect=Effect.NON_IDEMPOTENT) is Refusal.UNDECIDED
    why = Detail(failure=Failure(code=EFFECT_UNKNOWN, step="one"))
    assert ground.apply(move(held, "gave_up", State.MANUAL, DAY, "execute", detail=why))
    manual = ground.get(held.id)
    assert manual.unknown_effect is not None
    last = not_done(number=manual.trail[-1].number)
    word = f"person:{ground.decides.id}"
    said = move(manual, "outcome_given", State.QUEUED, timedelta(0), word, ended=ground.by_person(last))
    assert ground.apply(said)
    again = ground.claimed(ground.get(held.id), "d")
    assert again.unknown_effect is None  # said of the newest, meant of them all
    assert ground.begun(again, effect=Effect.NON_IDEMPOTENT).number == 3


def test_nothing_begins_after_its_deadline(ground: Ground) -> None:
    """I4: the time that counts is the gate's, not the claim's: a step before it may have taken long."""
    held = ground.running(deadline=ground.now() + timedelta(seconds=50))
    ground.begun(held)
    assert ground.apply(retry(held, ended=not_done(number=1)))
    again = ground.claimed(ground.get(held.id), "b")
    ground.elapse(timedelta(seconds=51))
    assert ground.refused(again) is Refusal.DEADLINE


def test_a_step_that_was_not_done_is_begun_again(ground: Ground) -> None:
    """A recorded "not done" frees the step, under the next number."""
    held = ground.running()
    begun = ground.begun(held)
    assert ground.apply(retry(held, ended=not_done(number=begun.number)))
    again = ground.claimed(ground.get(held.id), "b")
    assert ground.begun(again).number == 2


def test_no_effect_above_the_threshold_without_an_approval(ground: Ground) -> None:
    """I4: a plan that needs a person and has none does not begin."""
    held = ground.running(plan=ground.plan(risk=Risk.HIGH))
    assert ground.refused(held) is Refusal.APPROVAL_NEEDED


def test_an_approved_plan_begins_under_its_approval(ground: Ground) -> None:
    """I4: open, approved, in time, and over exactly these steps."""
    held = ground.claimed(ground.approved())
    assert ground.begun(held).number == 1


def test_an_approval_over_other_steps_is_none(ground: Ground) -> None:
    """I4: the digest is computed from what the worker holds."""
    held = ground.claimed(ground.approved())
    assert ground.refused(held, digest="v1:sha256:" + "0" * 64) is Refusal.APPROVAL_NEEDED


def test_a_risk_that_outgrew_its_approval_asks_again(ground: Ground) -> None:
    """I4, I5: a newer policy may find it riskier than what was approved; equal or lower keeps the approval."""
    held = ground.claimed(ground.approved(Risk.HIGH))
    assert ground.refused(held, risk=Risk.CRITICAL) is Refusal.APPROVAL_NEEDED
    ground.begun(held, risk=Risk.MEDIUM)


def test_an_approval_is_valid_for_a_day(ground: Ground) -> None:
    """I4: an old yes is no yes."""
    task = ground.approved()
    ground.elapse(DAY + timedelta(minutes=1))
    assert ground.refused(ground.claimed(task)) is Refusal.APPROVAL_NEEDED


def test_an_approval_of_a_delayed_task_is_valid_for_a_day_from_then(ground: Ground) -> None:
    """I4: the day begins when the task may begin."""
    task = ground.approved(not_before=ground.now() + 2 * DAY)
    ground.elapse(2 * DAY + timedelta(hours=1))
    ground.begun(ground.claimed(task))


def test_asking_anew_closes_the_approval_before(ground: Ground) -> None:
    """I4: a replaced approval opens no gate."""
    held = ground.claimed(ground.approved())
    ask = Ask(digest="v1:sha256:" + "a" * 64, requested_by=ground.asks.id, expires_in=APPROVAL_EXPIRES)
    assert ground.apply(move(held, "approval_needed", State.AWAITING_APPROVAL, DAY, "execute", ask=ask))
    opened = ground.approvals.open(ground.home, held.id)
    assert opened is not None
    assert (opened.digest, opened.decisions, opened.valid_until) == (ask.digest, (), None)


def test_an_approved_task_may_be_retried_under_the_same_approval(ground: Ground) -> None:
    """I4: a retry of the same step uses up nothing."""
    held = ground.claimed(ground.approved())
    begun = ground.begun(held)
    assert ground.apply(retry(held, ended=not_done(number=begun.number)))
    assert ground.begun(ground.claimed(ground.get(held.id), "b")).number == 2


def test_the_order_of_refusals_is_the_same_everywhere(ground: Ground) -> None:
    """Stale before cancelled, cancelled before paused, paused before policy, policy before undecided, approval last."""
    held = ground.running(plan=ground.plan(step("one"), risk=Risk.HIGH))
    old = ground.version() - 1
    assert ground.refused(held, policy_version=old) is Refusal.POLICY_CHANGED
    ground.workspace.pause(ground.home, "stop", ground.rules.id)
    assert ground.refused(held, policy_version=old) is Refusal.PAUSED
    assert ground.queue.request_cancel(ground.home, held.id, None, "person")
    assert ground.refused(held, policy_version=old) is Refusal.CANCELLED
    assert ground.refused(held, policy_version=old, lease_no=0) is Refusal.STALE


def test_undecided_comes_before_approval(ground: Ground) -> None:
    """I6: an unknown effect is a person's to decide, whatever approvals say."""
    held = ground.claimed(ground.approved())
    begun = ground.begun(held)
    assert ground.apply(retry(held, ended=unknown(number=begun.number)))
    again = ground.claimed(ground.get(held.id), "b")
    assert ground.refused(again, digest="v1:sha256:" + "0" * 64) is Refusal.UNDECIDED


def test_the_gate_extends_the_lease_to_the_attempts_end(ground: Ground) -> None:
    """I3, I6: a long attempt does not outlive its lease."""
    held = ground.running()
    ground.begun(held, timeout=timedelta(minutes=5))
    ground.elapse(timedelta(minutes=5))
    assert held.id not in ground.due_ids()
    assert ground.queue.renew([(held.id, held.lease_no)], LEASE) == {held.id}


def test_a_persons_word_opens_the_step_again(ground: Ground) -> None:
    """I6: "it did not happen" closes the unknown attempt, and the step may begin again."""
    held = ground.running()
    begun = ground.begun(held)
    assert ground.apply(gave_up(held, unknown(number=begun.number)))
    manual = ground.get(held.id)
    assert manual.unknown_effect is not None
    word = f"person:{ground.decides.id}"
    ended = not_done(number=begun.number)
    said = move(manual, "outcome_given", State.QUEUED, timedelta(0), word, ended=ground.by_person(ended))
    assert ground.apply(said)
    again = ground.claimed(ground.get(held.id), "b")
    assert again.unknown_effect is None
    assert again.trail[0].outcome is OutcomeKind.NOT_DONE
    assert again.trail[0].decided_by == str(ground.decides.id)
    assert ground.begun(again).number == 2
