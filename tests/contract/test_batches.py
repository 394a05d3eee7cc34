"""Batches: on record before they are sent, one unanswered at a time, collected by whoever comes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

from common.core.after_analysis import after_batch, parked
from common.core.lifecycle import move
from common.core.task import Risk, State, Task
from common.ports import (
    ANSWER_IN,
    SEND_WITHIN,
    Asked,
    Batch,
    Bill,
    CallRequest,
    Checked,
    Member,
    NotOpened,
    NotReserved,
    Saved,
    Usage,
    custom_id,
)  # fmt: skip
from tests.contract.ground import Ground, fresh_id

CENT = 10_000_000
KEY = "0123456789abcdef"
MINUTE = timedelta(minutes=1)
LATER = ANSWER_IN + timedelta(seconds=1)


def request(ground: Ground, amount: int = CENT, tasks: tuple[UUID, ...] = ()) -> CallRequest:
    """A batch about to be sent."""
    return CallRequest(
        workspace=ground.home, purpose="analysis", model="small", prompt_version="1", reserve=amount,
        task_ids=tasks, tasks=len(tasks), deadline=timedelta(days=7),
    )  # fmt: skip


def opened(ground: Ground, *asked: Asked, key: str = KEY, amount: int = CENT) -> UUID:
    """A batch on record."""
    made = ground.batches.open(
        request(ground, amount, tuple(m.task for a in asked if not a.check for m in a.members)), key, asked
    )
    assert isinstance(made, UUID), made
    return made


def asking(*tasks: UUID, most: int = CENT) -> Asked:
    """One request."""
    members = (Member(task, f"n{number}", Risk.MEDIUM if number else None, number) for number, task in enumerate(tasks))
    return Asked(tuple(members), most)


def only(found: list[Batch]) -> Batch:
    """The one that is due."""
    [batch] = found
    return batch


def waiting(ground: Ground, batch: UUID) -> Task:
    """A task that is parked on it."""
    held = ground.claimed(ground.submit(State.RECEIVED, economy=True))
    assert ground.apply(parked(held, batch, "analyze"))
    return ground.get(held.id)


def seen(ground: Ground) -> tuple[int, int]:
    """Spent and reserved this month."""
    month = ground.budget.month(ground.home)
    return month.spent, month.reserved


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


# --- checks ----------------------------------------------------------------------------------------------------------


def check(cost: int, *tasks: UUID, different: int = 0) -> Checked:
    """What a batch's checks cost and found."""
    return Checked(Bill(usage=Usage(input=3, output=5), cost=cost, saved=Saved(pack=-cost)), tasks, different)


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


# --- whoever stood still between a look and what it decides ---------------------------------------------------------


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


def test_a_task_is_not_parked_beyond_its_deadline(ground: Ground) -> None:
    """I9: whoever parks it stood still since it was claimed: what was room then is none now."""
    batch = opened(ground, asking(fresh_id()))
    held = ground.claimed(ground.submit(State.RECEIVED, economy=True, deadline=ground.now() + timedelta(hours=3)))
    ground.elapse(timedelta(hours=2))
    assert ground.apply(parked(held, batch, "analyze"))
    ground.elapse(timedelta(minutes=44))
    assert held.id not in ground.due_ids()
    ground.elapse(timedelta(minutes=2))
    assert held.id in ground.due_ids()


def test_a_batch_that_is_never_answered_is_assumed_billed(ground: Ground) -> None:
    """I7: nobody knows what it cost, so it is booked in full once its results would be of no use."""
    opened(ground, asking(fresh_id()))
    ground.elapse(timedelta(days=8))
    assert ground.budget.expire() == 1
    assert ground.batches.due(10) == []
    assert seen(ground) == (CENT, 0)


def test_a_parked_task_has_no_lease(ground: Ground) -> None:
    """I3, I9: nobody holds it, nobody claims it, and it is looked at again at a named time."""
    batch = opened(ground, asking(fresh_id()))
    task = waiting(ground, batch)
    assert (task.state, task.batch, task.economy, task.waiting_for) == (State.ANALYZING, batch, True, "provider")
    assert [t.id for t in ground.batches.parked(batch)] == [task.id]
    assert ground.kinds(task) == ["submitted", "analysis_started", "batched"]
    assert ground.reads.queue(ground.home).leases == {}
    ground.elapse(timedelta(hours=24))
    assert task.id not in ground.due_ids()
    assert ground.queue.claim(State.RECEIVED, "w", 10, MINUTE) == []
    ground.elapse(timedelta(hours=2))
    assert task.id in ground.due_ids()
    assert ground.apply(after_batch(ground.get(task.id), "schedule", only_if_due=True))
    now = ground.get(task.id)
    assert (now.state, now.batch, now.economy, now.attempts) == (State.RECEIVED, None, False, 0)
    assert ground.batches.parked(batch) == []


def test_a_parked_task_waits_no_longer_than_its_deadline_allows(ground: Ground) -> None:
    """I9: with a deadline it is looked at while a direct reading is still in time."""
    batch = opened(ground, asking(fresh_id()))
    held = ground.claimed(ground.submit(State.RECEIVED, economy=True, deadline=ground.now() + timedelta(hours=3)))
    assert ground.apply(parked(held, batch, "analyze"))
    ground.elapse(timedelta(hours=2, minutes=30))
    assert held.id not in ground.due_ids()
    ground.elapse(timedelta(minutes=20))
    assert held.id in ground.due_ids()


def test_an_answer_that_comes_late_moves_nothing(ground: Ground) -> None:
    """I3: a task that was rescued, cancelled or taken up meanwhile is not the batch's any more."""
    batch = opened(ground, asking(fresh_id()))
    task = waiting(ground, batch)
    late = move(task, "analysis_failed", State.MANUAL, timedelta(hours=1), "analyze")
    assert ground.apply(after_batch(task, "schedule"))
    assert not ground.apply(late)
    again = ground.claimed(ground.get(task.id))
    assert again.lease_no == task.lease_no + 1
    assert not ground.apply(late)
    assert ground.apply(parked(again, batch, "analyze"))
    assert not ground.apply(late)


def test_a_parked_task_is_cancelled_at_once(ground: Ground) -> None:
    """A request would wait for a lease holder that there is not: it is refused, and the transition is applied."""
    batch = opened(ground, asking(fresh_id()))
    task = waiting(ground, batch)
    assert not ground.queue.request_cancel(ground.home, task.id, None, "person")
    assert ground.apply(move(task, "cancelled", State.CANCELLED, None, "person"))
    assert not ground.apply(move(task, "cancelled", State.CANCELLED, None, "person"))


def test_a_cancel_that_came_before_parking_is_carried_out(ground: Ground) -> None:
    """Asked for while a worker had it, it is due at once, and maintenance cancels it."""
    batch = opened(ground, asking(fresh_id()))
    held = ground.claimed(ground.submit(State.RECEIVED, economy=True))
    assert ground.queue.request_cancel(ground.home, held.id, None, f"person:{ground.asks.id}")
    assert ground.apply(parked(held, batch, "analyze"))
    assert held.id in ground.due_ids()
    change = after_batch(ground.get(held.id), "schedule", only_if_due=True)
    assert change.kind == "cancelled"
    assert ground.apply(change)


def test_a_task_moves_from_batch_to_batch(ground: Ground) -> None:
    """What a stronger model is to read is parked on the next batch, once."""
    first = opened(ground, asking(fresh_id()))
    task = waiting(ground, first)
    assert ground.batches.name(first, "msgbatch_1", certain=True)
    second = opened(ground, asking(task.id))
    assert ground.apply(parked(task, second, "analyze"))
    assert not ground.apply(parked(task, second, "analyze"))
    assert ground.batches.parked(first) == []
    assert [t.id for t in ground.batches.parked(second)] == [task.id]
    assert ground.kinds(task)[-2:] == ["batched", "batched"]
