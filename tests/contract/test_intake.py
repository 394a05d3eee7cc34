"""Queue.add: what is acknowledged is committed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from common.core.task import State
from common.ports import APART, KEYS_KEPT, Added, AddRefused, NewTask, Submission
from common.views import stored_view, task_view
from tests.contract.ground import DAY, LEASE, Ground, fresh_id, secret


def stored_of(answers: list[Added | AddRefused]) -> list[tuple[UUID, ...] | AddRefused]:
    """The ids of what was stored, or why it was not; in order."""
    return [a.ids if isinstance(a, Added) else a for a in answers]


def test_an_acknowledged_task_is_there_with_its_plan_and_its_first_event(ground: Ground) -> None:
    """I1, I2: once `add` has answered, the task, its plan and one `submitted` event are stored."""
    task = ground.submit(State.QUEUED)
    assert (task.state, task.plan is not None, task.event_seq) == (State.QUEUED, True, 1)
    [event] = ground.events(task)
    assert (event.kind, event.from_state, event.to_state, event.seq) == ("submitted", None, State.QUEUED, 1)
    assert event.actor == f"person:{ground.asks.id}"


@pytest.mark.parametrize("target", [State.RECEIVED, State.QUEUED, State.AWAITING_APPROVAL])
def test_a_new_task_is_looked_at_again_at_a_named_time(ground: Ground, target: State) -> None:
    """I9: whatever state intake puts it in, `next_check_at` is set."""
    task = ground.submit(target)
    record = ground.reads.task(ground.home, task.id)
    assert record is not None
    assert record.next_check_at is not None


def test_a_task_that_needs_a_person_is_stored_with_its_open_approval(ground: Ground) -> None:
    """I4: the approval is opened in the commit that begins the wait, undecided."""
    task = ground.submit(State.AWAITING_APPROVAL)
    approval = ground.approvals.open(ground.home, task.id)
    assert approval is not None
    assert approval.valid_until is None
    assert approval.requested_by == ground.asks.id
    assert approval.requested_by_name == "Ada"
    assert approval.plan_number == 1
    assert not ground.approvals.valid(ground.home, task.id, approval.digest)


def test_one_bad_token_refuses_only_its_own_submission(ground: Ground) -> None:
    """Submissions of one batch are answered in order, each on its own."""
    good, bad = ground.new(), ground.new()
    answers = ground.queue.add(
        [
            Submission(token_sha256=secret("nobody"), tasks=(bad,)),
            Submission(token_sha256=ground.asks.token, tasks=(good,)),
        ]
    )
    assert stored_of(answers) == [AddRefused.TOKEN, (good.id,)]
    assert [t.id for t in ground.queue.get(ground.home, [good.id, bad.id])] == [good.id]


def test_a_revoked_token_stores_nothing(ground: Ground) -> None:
    """A token is checked in the commit that would store the task, not only when the request came in."""
    assert ground.people.revoke(ground.home, ground.asks.token)
    wanted = ground.new()
    assert ground.queue.add([Submission(token_sha256=ground.asks.token, tasks=(wanted,))]) == [AddRefused.TOKEN]
    assert ground.queue.get(ground.home, [wanted.id]) == []


def test_an_expired_token_stores_nothing(ground: Ground) -> None:
    """Expiry is the store's clock's business."""
    token = secret("short")
    ground.people.issue(ground.home, ground.asks.id, "api", token, timedelta(minutes=1))
    ground.elapse(timedelta(minutes=2))
    assert ground.queue.add([Submission(token_sha256=token, tasks=(ground.new(),))]) == [AddRefused.TOKEN]


def test_a_role_below_operator_stores_nothing(ground: Ground) -> None:
    """Submitting needs operator or more."""
    token = secret("looks")
    ground.people.issue(ground.home, ground.decides.id, "api", token, None, "viewer")
    assert ground.queue.add([Submission(token_sha256=token, tasks=(ground.new(),))]) == [AddRefused.TOKEN]


def test_the_same_key_and_body_answer_with_the_first_ids(ground: Ground) -> None:
    """A repeated request under one Idempotency-Key is answered as the first was, and stores nothing."""
    first, second = ground.new(), ground.new()

    def send(task: NewTask) -> Added:
        [answer] = ground.queue.add(
            [Submission(token_sha256=ground.asks.token, tasks=(task,), key="k", body_sha256="b" * 64)]
        )
        assert isinstance(answer, Added)
        return answer

    one = send(first)
    assert (one.ids, one.replayed, one.at is not None) == ((first.id,), False, True)
    assert send(second) == Added((first.id,), replayed=True)
    assert ground.queue.get(ground.home, [second.id]) == []


def test_the_same_key_with_another_body_is_a_conflict(ground: Ground) -> None:
    """409 is decided by the store, where two requests meet."""
    first, second = ground.new(), ground.new()
    one = Submission(token_sha256=ground.asks.token, tasks=(first,), key="k", body_sha256="b" * 64)
    two = Submission(token_sha256=ground.asks.token, tasks=(second,), key="k", body_sha256="c" * 64)
    assert stored_of(ground.queue.add([one])) == [(first.id,)]
    assert ground.queue.add([two]) == [AddRefused.KEY_CONFLICT]


def test_what_a_key_stands_for_is_told_without_storing_anything(ground: Ground) -> None:
    """The first submission's ids for its body, a conflict for another, nothing for a key that nobody used."""
    first = ground.new()
    one = Submission(token_sha256=ground.asks.token, tasks=(first,), key="k", body_sha256="b" * 64)
    asked = replace(one, tasks=())
    assert ground.queue.known(asked) is None
    assert stored_of(ground.queue.add([one])) == [(first.id,)]
    assert ground.queue.known(asked) == Added((first.id,), replayed=True)
    assert ground.queue.known(replace(asked, body_sha256="c" * 64)) is AddRefused.KEY_CONFLICT
    assert ground.queue.known(replace(asked, key="other")) is None


def test_one_key_twice_in_one_batch_is_stored_once(ground: Ground) -> None:
    """Two requests with one key may be grouped into one commit; the second still replays the first."""
    first, second = ground.new(), ground.new()
    both = [
        Submission(token_sha256=ground.asks.token, tasks=(task,), key="twin", body_sha256="b" * 64)
        for task in (first, second)
    ]
    stored, replayed = ground.queue.add(both)
    assert stored_of([stored]) == [(first.id,)]
    assert replayed == Added((first.id,), replayed=True)


def test_a_key_belongs_to_one_person(ground: Ground) -> None:
    """Another principal's equal key is another key."""
    first, second = ground.new(), ground.new(by=ground.rules)
    one = Submission(token_sha256=ground.asks.token, tasks=(first,), key="k", body_sha256="b" * 64)
    two = Submission(token_sha256=ground.rules.token, tasks=(second,), key="k", body_sha256="c" * 64)
    assert stored_of(ground.queue.add([one, two])) == [(first.id,), (second.id,)]


def test_a_delayed_task_says_so_and_is_not_claimed_before_its_time(ground: Ground) -> None:
    """`not_before` is a person's absolute time; until then the task waits for a delay."""
    task = ground.submit(not_before=ground.now() + timedelta(minutes=10))
    assert task.waiting_for == "delay"
    assert ground.queue.claim(State.QUEUED, "w", 10, DAY) == []
    ground.elapse(timedelta(minutes=11))
    assert [t.id for t in ground.queue.claim(State.QUEUED, "w", 10, DAY)] == [task.id]


def test_a_deadline_brings_the_next_look_forward(ground: Ground) -> None:
    """I9: a task is looked at no later than its deadline, even if its delay ends after it."""
    now = ground.now()
    queued = ground.submit(not_before=now + timedelta(hours=2), deadline=now + timedelta(hours=1))
    waiting = ground.submit(State.AWAITING_APPROVAL, deadline=now + timedelta(hours=1))
    for task in (queued, waiting):
        record = ground.reads.task(ground.home, task.id)
        assert record is not None
        assert record.next_check_at is not None
        assert record.next_check_at - now <= timedelta(hours=1, seconds=1)


@pytest.mark.parametrize("target", [State.RECEIVED, State.QUEUED, State.AWAITING_APPROVAL])
def test_the_first_answer_and_every_later_one_name_the_same_times(ground: Ground, target: State) -> None:
    """I9: what intake says without a read, of each of many, is what a read says: when it came, when it is looked at."""
    who = ground.people.principal(ground.asks.token)
    assert who is not None
    now = ground.now()
    soon, late, latest = (now + timedelta(hours=hours) for hours in (1, 2, 72))
    for not_before, deadline in ((None, None), (None, soon), (late, soon), (late, latest)):
        tasks = tuple(ground.new(target, not_before=not_before, deadline=deadline) for _ in range(3))
        [added] = ground.queue.add([Submission(token_sha256=ground.asks.token, tasks=tasks)])
        assert isinstance(added, Added)
        assert added.at is not None
        for place, task in enumerate(tasks):
            record = ground.reads.task(ground.home, task.id)
            assert record is not None
            said = stored_view(task, who, added.at + APART * place, paused=False, lang="en")
            read = task_view(record, "operator", "en")
            assert (said["created_at"], said["waiting_for"]) == (
                read.created_at,
                read.waiting_for and vars(read.waiting_for),
            )


def test_what_came_together_is_claimed_in_its_order(ground: Ground) -> None:
    """Stored in one moment, and still the first of an array is begun first."""
    tasks = tuple(ground.new() for _ in range(40))
    [added] = ground.queue.add([Submission(token_sha256=ground.asks.token, tasks=tasks)])
    assert isinstance(added, Added)
    claimed = [task.id for _ in range(4) for task in ground.queue.claim(State.QUEUED, "w", 10, LEASE)]
    assert claimed == list(added.ids)


def test_many_tasks_of_one_submission_are_all_stored(ground: Ground) -> None:
    """An array is all or nothing; here: all, in order."""
    tasks = tuple(ground.new() for _ in range(50))
    answers = ground.queue.add([Submission(token_sha256=ground.asks.token, tasks=tasks)])
    assert stored_of(answers) == [tuple(t.id for t in tasks)]
    assert {t.id for t in ground.queue.get(ground.home, [t.id for t in tasks])} == {t.id for t in tasks}


def test_the_next_delayed_task_is_known(ground: Ground) -> None:
    """A loop that found nothing due can say when it should be woken."""
    assert ground.queue.next_due(State.QUEUED) is None
    ground.submit(not_before=ground.now() + timedelta(minutes=10))
    ground.submit(not_before=ground.now() + timedelta(minutes=3))
    soon = ground.queue.next_due(State.QUEUED)
    assert soon is not None
    assert timedelta(minutes=2, seconds=50) < soon <= timedelta(minutes=3)
    assert ground.queue.next_due(State.RECEIVED) is None


def test_another_workspaces_task_is_not_got(ground: Ground) -> None:
    """Every read takes a workspace; another's object is absent."""
    task = ground.submit()
    assert ground.queue.get(ground.neighbour, [task.id, fresh_id()]) == []


def test_a_key_older_than_a_week_stands_for_nothing(ground: Ground) -> None:
    """Within 7 days a key is its first request's, whatever is sent with it; after that it is free, unswept as well."""
    first, second, third = (ground.new() for _ in range(3))
    sent = [
        Submission(token_sha256=ground.asks.token, tasks=(task,), key="k", body_sha256=body * 64)
        for task, body in ((first, "a"), (second, "b"), (third, "b"))
    ]
    assert stored_of(ground.queue.add(sent[:1])) == [(first.id,)]
    ground.elapse(KEYS_KEPT - timedelta(minutes=1))
    assert stored_of(ground.queue.add(sent[1:2])) == [AddRefused.KEY_CONFLICT]
    ground.elapse(timedelta(minutes=2))
    assert ground.queue.known(sent[0]) is None
    assert stored_of(ground.queue.add(sent[1:2])) == [(second.id,)]
    assert stored_of(ground.queue.add(sent[2:])) == [(second.id,)]


def test_keys_older_than_a_week_are_dropped_and_no_others(ground: Ground) -> None:
    """Retention: a key is kept 7 days, for whoever repeats a request; after that it costs only space."""
    for key in ("old", "older"):
        ground.queue.add([Submission(token_sha256=ground.asks.token, tasks=(ground.new(),), key=key)])
    ground.elapse(timedelta(days=7, minutes=1))
    ground.queue.add([Submission(token_sha256=ground.asks.token, tasks=(ground.new(),), key="new")])
    assert [ground.queue.forget(1), ground.queue.forget(10), ground.queue.forget(10)] == [1, 1, 0]
