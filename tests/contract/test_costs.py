"""Costs: the ledger as it is looked at, of one workspace and one month."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from common.core.lifecycle import move
from common.core.task import State, uuid7
from common.ports import Added, Bill, CallRequest, CallSum, KindCost, Saved, Submission, Usage
from tests.contract.ground import Ground, Member, fresh_id

BILL = Bill(
    usage=Usage(input=100, output=20, cache_read=3000, cache_write=5),
    cost=1_000,
    baseline=40_000,
    saved=Saved(model=30_000, prompt=8_000, pack=0, batch=1_000),
    latency=timedelta(milliseconds=1234),
    request_id="req_1",
)


def asked(ground: Ground, *tasks: UUID, home: UUID | None = None, **said: object) -> UUID:
    """A call that is out."""
    wanted = CallRequest(
        workspace=home or ground.home,
        purpose="analysis",
        model="small",
        prompt_version="analysis.1",
        reserve=5_000,
        task_ids=tasks,
        tasks=max(len(tasks), 1),
    )
    made = ground.budget.reserve(replace(wanted, **said))  # type: ignore[arg-type]  # - fields of it, by name
    assert isinstance(made, UUID)
    return made


def answered(ground: Ground, *tasks: UUID, bill: Bill = BILL, home: UUID | None = None, **said: object) -> UUID:
    """A call that is booked."""
    made = asked(ground, *tasks, home=home, **said)
    ground.budget.settle(made, bill)
    return made


def test_an_empty_month_is_all_nothing(ground: Ground) -> None:
    """Before the first call there is nothing to see, and no error."""
    seen = ground.costs.month(ground.home)
    assert (seen.month, seen.all, seen.cap) == (f"{ground.now():%Y-%m}", CallSum(), None)
    assert (seen.models, seen.whys, seen.days, seen.kinds, seen.hits) == ({}, {}, {}, {}, {})
    assert abs(seen.at - ground.now()) < timedelta(minutes=1)


def test_a_month_is_summed_by_model_purpose_reason_and_day(ground: Ground) -> None:
    """Each sum holds calls, tasks, tokens by kind, cost, the naive price and what each lever saved."""
    one, other = ground.submit().id, ground.submit().id
    answered(ground, one, other)
    answered(ground, one, model="strong", reason="confidence", bill=Bill(usage=Usage(input=7), cost=300))
    seen = ground.costs.month(ground.home)
    first = CallSum(calls=1, tasks=2, usage=BILL.usage, cost=1_000, baseline=40_000, saved=BILL.saved)
    second = CallSum(calls=1, tasks=1, usage=Usage(input=7), cost=300)
    assert seen.models == {"small": first, "strong": second}
    assert seen.whys == {("analysis", "first"): first, ("analysis", "confidence"): second}
    assert seen.packs == first
    assert (seen.all.calls, seen.all.tasks, seen.all.cost, seen.all.baseline) == (2, 3, 1_300, 40_000)
    assert seen.all.usage.input == 107
    assert seen.levered == Saved(model=2, prompt=2, pack=0, batch=2)
    assert seen.days == {ground.now().date(): seen.all}


def test_what_brought_no_answer_saved_nothing(ground: Ground) -> None:
    """I7: an assumed bill counts in full, as its own naive price; a void is not seen, what is out is held."""
    ground.budget.assume_billed(asked(ground))
    ground.budget.void(asked(ground))
    asked(ground, reserve=70)
    seen = ground.costs.month(ground.home)
    assert (seen.all.calls, seen.all.cost, seen.all.baseline, seen.all.saved) == (1, 5_000, 5_000, Saved())
    assert (seen.reserved, seen.cap) == (70, ground.budget.month(ground.home).cap)


def test_a_task_costs_its_share(ground: Ground) -> None:
    """The cost of a call is divided by the tasks that it read: by kind, and of each task."""
    tasks = [_of_kind(ground, "fetch"), _of_kind(ground, "fetch"), _of_kind(ground, "pay")]
    answered(ground, *tasks, bill=Bill(usage=Usage(), cost=900))
    answered(ground, tasks[2], bill=Bill(usage=Usage(), cost=50))
    answered(ground, purpose="preview", bill=Bill(usage=Usage(), cost=8))
    seen = ground.costs.month(ground.home)
    assert seen.kinds == {
        "fetch": KindCost(tasks=2, cost=600),
        "pay": KindCost(tasks=1, cost=350),
        None: KindCost(tasks=0, cost=8),
    }
    record = ground.reads.task(ground.home, tasks[2])
    assert record is not None
    assert record.cost_nanodollars == 350


def _of_kind(ground: Ground, kind: str) -> UUID:
    """A task of which the kind is known."""
    task = ground.claimed(ground.submit(State.RECEIVED))
    plan = ground.plan()
    assert ground.apply(move(task, "plan_decided", State.QUEUED, timedelta(0), "analyze", plan=plan, kind_of_task=kind))
    return task.id


def _cached(ground: Ground, by: Member, count: int = 1) -> None:
    """Tasks submitted now, whose plans came from the cache."""
    for _ in range(count):
        plan = ground.plan().model_copy(update={"source": "cached"})
        at = int(ground.now().timestamp() * 1000)
        wanted = replace(ground.new(plan=plan, by=by), id=uuid7(at, fresh_id().bytes[6:]))
        [added] = ground.queue.add([Submission(token_sha256=by.token, tasks=(wanted,))])
        assert isinstance(added, Added)


def test_a_remembered_answer_is_counted_on_its_day(ground: Ground) -> None:
    """Hits are plans from the cache; what each would have cost is the mean naive price of the first calls."""
    _cached(ground, ground.asks, 2)
    _cached(ground, ground.outsider)
    answered(ground, ground.submit().id, ground.submit().id)
    seen = ground.costs.month(ground.home)
    assert seen.hits == {ground.now().date(): 2}
    assert seen.naive_task == 20_000
    assert ground.costs.month(ground.home, "2019-05").hits == {}


def test_checks_and_what_they_found_are_counted(ground: Ground) -> None:
    """I12: tasks that were asked again, and those answered differently."""
    call = answered(ground, ground.submit().id, ground.submit().id, reason="check")
    ground.budget.differed(call, 1)
    seen = ground.costs.month(ground.home).whys["analysis", "check"]
    assert (seen.tasks, seen.disagreements) == (2, 1)


def test_a_ledger_is_one_workspaces(ground: Ground) -> None:
    """Another workspace's calls are not seen, nor are another month's."""
    answered(ground, home=ground.neighbour)
    assert ground.costs.month(ground.home).all == CallSum()
    assert ground.costs.month(ground.neighbour).all.calls == 1
    assert ground.costs.month(ground.neighbour, "2020-02").all == CallSum()
