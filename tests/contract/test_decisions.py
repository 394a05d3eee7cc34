"""Approvals: a decision and its transition are one commit, or neither."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from common.core.digest import approval_digest
from common.core.lifecycle import move
from common.core.task import State
from common.ports import Verdict
from tests.contract.ground import DAY, Ground, Member, secret


def test_a_yes_is_stored_and_queues_the_task(ground: Ground) -> None:
    """I4: decision, validity and transition in one commit."""
    task = ground.submit(State.AWAITING_APPROVAL)
    assert ground.decide(task) is Verdict.APPLIED
    assert ground.get(task.id).state is State.QUEUED
    approval = ground.approvals.open(ground.home, task.id)
    assert approval is not None
    assert approval.valid_until is not None
    [decided] = approval.decisions
    assert (decided.person, decided.person_name, decided.verdict) == (ground.decides.id, "Bo", "approved")
    assert ground.approvals.valid(ground.home, task.id, approval.digest)
    assert ground.kinds(task) == ["submitted", "approved"]


def test_a_no_ends_the_task_and_closes_the_approval(ground: Ground) -> None:
    """I4: what was rejected opens no gate."""
    task = ground.submit(State.AWAITING_APPROVAL)
    assert ground.decide(task, "rejected") is Verdict.APPLIED
    assert ground.get(task.id).state is State.CANCELLED
    assert ground.approvals.open(ground.home, task.id) is None


def test_a_decision_over_another_digest_is_stale(ground: Ground) -> None:
    """I4: only what the person saw can be decided."""
    task = ground.submit(State.AWAITING_APPROVAL)
    assert ground.decide(task, digest="v1:sha256:" + "0" * 64) is Verdict.STALE
    assert ground.get(task.id).state is State.AWAITING_APPROVAL
    approval = ground.approvals.open(ground.home, task.id)
    assert approval is not None
    assert approval.decisions == ()


def test_a_decision_after_something_happened_is_stale(ground: Ground) -> None:
    """I2: the task's event number is part of the guard, and nothing of the decision is stored."""
    task = ground.submit(State.AWAITING_APPROVAL)
    assert ground.apply(move(task, "reassessed", State.AWAITING_APPROVAL, DAY, "schedule"))
    assert ground.decide(task) is Verdict.STALE
    approval = ground.approvals.open(ground.home, task.id)
    assert approval is not None
    assert approval.decisions == ()


def test_a_second_decision_finds_it_decided(ground: Ground) -> None:
    """Of two who decide at once, one decides."""
    task = ground.submit(State.AWAITING_APPROVAL)
    assert ground.decide(task) is Verdict.APPLIED
    assert ground.decide(task, by=ground.rules) is Verdict.STALE
    assert ground.decide(task) in {Verdict.ALREADY, Verdict.STALE}
    assert ground.kinds(task) == ["submitted", "approved"]


def test_an_expired_approval_cannot_be_decided(ground: Ground) -> None:
    """I4: an approval that nobody gave in time is given no more."""
    task = ground.submit(State.AWAITING_APPROVAL)
    ground.elapse(DAY + timedelta(minutes=1))
    assert ground.decide(task) is Verdict.EXPIRED
    assert ground.get(task.id).state is State.AWAITING_APPROVAL


def test_the_requester_decides_only_where_that_is_allowed(ground: Ground) -> None:
    """Requester and approver are compared as persons, by the store."""
    task = ground.submit(State.AWAITING_APPROVAL, by=ground.rules)
    assert ground.decide(task, by=ground.rules, self_allowed=False) is Verdict.SELF
    assert ground.get(task.id).state is State.AWAITING_APPROVAL
    assert ground.decide(task, by=ground.rules, self_allowed=True) is Verdict.APPLIED


def lent(ground: Ground, kind: Literal["api", "sign_in_code"], by: Member) -> str:
    """A token for the approver; of a code, the session that it becomes."""
    token, session = secret("lent"), secret("session")
    lasts = timedelta(minutes=10)
    ground.people.issue(ground.home, ground.decides.id, kind, token, lasts, issued_by=by.id)
    if kind == "api":
        return token
    assert ground.people.redeem(token, session, DAY) is not None
    return session


def test_a_token_that_the_requester_issued_does_not_approve(ground: Ground) -> None:
    """I4: its secret is the requester's, too, whoever's name it carries."""
    task = ground.submit(State.AWAITING_APPROVAL, by=ground.rules)
    own = lent(ground, "api", ground.rules)
    assert ground.decide(task, self_allowed=False, token=own) is Verdict.ISSUED
    assert ground.get(task.id).state is State.AWAITING_APPROVAL
    assert ground.decide(task, self_allowed=False, token=lent(ground, "api", ground.decides)) is Verdict.APPLIED


def test_a_token_that_the_requester_issued_may_reject_and_approve_for_others(ground: Ground) -> None:
    """What it may not do is approve what its issuer asked for; and where self-approval is on, it may."""
    own = lent(ground, "api", ground.rules)
    task = ground.submit(State.AWAITING_APPROVAL, by=ground.rules)
    assert ground.decide(task, "rejected", token=own) is Verdict.APPLIED
    others = ground.submit(State.AWAITING_APPROVAL)
    assert ground.decide(others, self_allowed=False, token=own) is Verdict.APPLIED
    allowed = ground.submit(State.AWAITING_APPROVAL, by=ground.rules)
    assert ground.decide(allowed, self_allowed=True, token=own) is Verdict.APPLIED


def test_who_signed_in_with_a_code_of_the_requester_approves(ground: Ground) -> None:
    """A session's secret is its person's alone; and a lone admin lets everybody in."""
    task = ground.submit(State.AWAITING_APPROVAL, by=ground.rules)
    session = lent(ground, "sign_in_code", ground.rules)
    assert ground.decide(task, self_allowed=False, token=session) is Verdict.APPLIED


def test_a_task_without_an_approval_cannot_be_decided(ground: Ground) -> None:
    """A decision needs something to decide."""
    waiting = ground.submit(State.AWAITING_APPROVAL)
    assert ground.decide(waiting, "rejected") is Verdict.APPLIED
    assert ground.decide(waiting) is Verdict.STALE


def test_another_workspaces_approval_is_absent(ground: Ground) -> None:
    """Every read takes a workspace."""
    task = ground.submit(State.AWAITING_APPROVAL)
    assert task.plan is not None
    digest = approval_digest(ground.home, task.id, task.plan)
    assert ground.approvals.open(ground.neighbour, task.id) is None
    assert ground.decide(task) is Verdict.APPLIED
    assert not ground.approvals.valid(ground.neighbour, task.id, digest)


def test_what_waits_for_a_person_is_announced_until_told(ground: Ground) -> None:
    """A crash may announce twice, never not at all: only `announced` ends it."""
    waiting, manual = ground.submit(State.AWAITING_APPROVAL), ground.manual()
    ground.submit()
    notices = {n.task.id: n for n in ground.approvals.unannounced(10)}
    assert set(notices) == {waiting.id, manual.id}
    assert notices[waiting.id].approval is not None
    assert notices[waiting.id].requested_by_name == "Ada"
    assert notices[manual.id].approval is None
    ground.approvals.announced([(n.task.id, n.task.event_seq) for n in notices.values()])
    assert ground.approvals.unannounced(10) == []


def test_news_is_announced_anew(ground: Ground) -> None:
    """Telling of an older event leaves the newer one untold."""
    task = ground.submit(State.AWAITING_APPROVAL)
    assert ground.apply(move(task, "reassessed", State.AWAITING_APPROVAL, DAY, "schedule"))
    ground.approvals.announced([(task.id, task.event_seq)])
    assert [n.task.id for n in ground.approvals.unannounced(10)] == [task.id]


def test_no_more_are_announced_than_asked(ground: Ground) -> None:
    """`limit` bounds a round."""
    for _ in range(3):
        ground.submit(State.AWAITING_APPROVAL)
    assert len(ground.approvals.unannounced(2)) == 2


def test_a_reminder_announces_once_more_without_an_event(ground: Ground) -> None:
    """I9: a task that nobody cared for is announced again, and looked at again later."""
    task = ground.manual()
    ground.approvals.announced([(task.id, task.event_seq)])
    before = ground.kinds(task)
    ground.approvals.remind([task.id], DAY)
    assert ground.approvals.unannounced(10) == []  # not due yet
    ground.elapse(DAY + timedelta(minutes=1))
    ground.approvals.remind([task.id], DAY)
    assert [n.task.id for n in ground.approvals.unannounced(10)] == [task.id]
    assert task.id not in ground.due_ids()
    assert ground.kinds(task) == before
