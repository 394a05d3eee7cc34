"""The analyst and the month's money: who waits near the limit, and what goes on with nothing left."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from common.core.lifecycle import Detail, move
from common.core.task import Failure, State
from common.ports import BudgetView
from tests.unit.analyst import FREE, LINGER, Bench, Script


def test_near_the_limit_the_unimportant_waits_by_name() -> None:
    """What is free goes on, and what matters is asked about."""
    bench = Bench(Script(knows={"known": FREE}))
    bench.spend(85)
    known, low, normal = bench.text("known", priority=1), bench.text("low", priority=1), bench.text("normal")
    bench.turn()
    assert bench.script.asked == [["normal"]]
    assert [bench.task(task).state for task in (known, normal)] == [State.QUEUED, State.QUEUED]
    waits = bench.task(low)
    assert (waits.state, waits.waiting_for, waits.failure) == (
        State.RECEIVED, "budget", Failure(code="budget_spared"),
    )  # fmt: skip


def test_near_the_limit_the_unimportant_goes_by_batch_where_there_are_batches() -> None:
    """At half the price, within hours. What a batch was no help to, or has no time for one, is asked about directly."""
    bench = Bench(batches=True)
    bench.spend(85)
    failed = bench.ground.claimed(bench.ground.submit(State.RECEIVED, text="failed", priority=1))
    why = Detail(failure=Failure(code="batch_expired"))
    assert bench.ground.apply(move(failed, "released", State.RECEIVED, timedelta(0), "analyze", detail=why))
    low = bench.text("low", priority=1)
    hasty = bench.text("hasty", priority=1, deadline=bench.ground.now() + timedelta(minutes=30))
    bench.turn()
    assert sorted(bench.script.asked[0]) == ["failed", "hasty"]
    parked = bench.task(low)
    assert (parked.state, parked.economy) == (State.RECEIVED, True)
    assert bench.turn() == 0
    assert bench.task(hasty).state is State.QUEUED


def test_without_batches_economy_is_read_like_all_others() -> None:
    """It may take hours, but nobody else would ever read it."""
    bench = Bench()
    task = bench.text("a", economy=True)
    bench.turn()
    assert bench.task(task).state is State.QUEUED


def test_with_nothing_left_only_what_is_free_goes_on() -> None:
    """The rest waits by name; nobody is asked."""
    bench = Bench(Script(knows={"known": FREE}))
    bench.spend(100)
    known, rest = bench.text("known"), bench.text("rest", priority=9)
    bench.turn()
    assert bench.script.asked == []
    assert bench.task(known).state is State.QUEUED
    waits = bench.task(rest)
    assert (waits.state, waits.waiting_for, waits.failure) == (State.RECEIVED, "budget", Failure(code="over_budget"))


def test_near_the_limit_packs_wait_to_be_fuller_until_there_is_money_again() -> None:
    """Ten times as long; in the next month everything is as before."""
    bench = Bench()
    bench.spend(85)
    bench.text("a")
    assert bench.turn() == 1
    bench.text("b")
    assert [bench.turn() for _ in range(10)] == [0] * 9 + [1]
    bench.ground.elapse(timedelta(days=31))
    bench.text("c")
    assert [bench.turn() for _ in range(10)] == [0] * 9 + [1]
    bench.text("d")
    assert bench.turn() == 1


def test_money_is_looked_at_once_a_claim() -> None:
    """However many packs it has; and less than one call may cost is nothing."""
    bench = Bench(pack_tasks=2)
    looked: list[object] = []
    month = bench.ground.budget.month

    def counted(workspace: UUID) -> BudgetView:
        looked.append(workspace)
        return month(workspace)

    bench.ground.budget.month = counted  # type: ignore[method-assign]  # the one read that is counted
    for n in range(8):
        bench.text(f"{n}")
    bench.ground.elapse(LINGER)
    bench.analyst._begun(8)
    assert looked == [bench.ground.home]
    poor = Bench(one_call=lambda: month(bench.ground.home).cap + 1)
    task = poor.text("a")
    poor.turn()
    assert poor.script.asked == []
    assert poor.task(task).waiting_for == "budget"
