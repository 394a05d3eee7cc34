"""Economy, over every adapter: who does not wait any more, and who is not let in."""

from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest

from common.core.after_analysis import after_batch
from common.core.lifecycle import move
from common.core.task import State
from tests.batch_side import BatchSide, refusal
from tests.contract.ground import Ground
from tests.economy_floor import TWELVE, Floor, rescued, sent, texts


@pytest.fixture
def floor(ground: Ground) -> Floor:
    """Replicas over both kinds of adapters."""
    return Floor(ground, BatchSide(ground.now))


def test_a_cancelled_task_ignores_the_late_answer(floor: Floor) -> None:
    """I3: cancelled at once, since no worker has it; its answer moves nothing and is booked all the same (I7)."""
    tasks = sent(floor, 3)
    gone = floor.now(tasks[0].id)
    assert floor.ground.apply(move(gone, "cancelled", State.CANCELLED, None, f"person:{floor.ground.asks.id}"))
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.CANCELLED, State.QUEUED, State.QUEUED]
    assert floor.money() == (TWELVE // 2, 0)


def test_a_batch_that_nobody_waits_for_is_cancelled_and_booked(floor: Floor) -> None:
    """I7: with all of its tasks gone no further request of it is begun; what was answered by then costs."""
    [task] = sent(floor, 1)
    assert floor.ground.apply(move(floor.now(task.id), "cancelled", State.CANCELLED, None, "person"))
    floor.later()
    assert floor.side.last.status == "canceling"
    floor.later()
    assert floor.side.count("POST cancel") == 1
    floor.side.end()
    floor.later()
    assert floor.money() == (TWELVE // 2, 0)


def test_a_task_whose_deadline_comes_near_is_read_directly(floor: Floor) -> None:
    """I9: a quarter of an hour before its deadline it is taken off the batch, and is read at the full price."""
    [task] = sent(floor, 1, deadline=floor.ground.now() + timedelta(hours=3))
    floor.elapse(timedelta(hours=2, minutes=50))
    rescued(floor)
    now = floor.now(task.id)
    assert (now.state, now.economy, now.attempts, floor.failure(task)) == (State.RECEIVED, False, 0, "batch_too_late")
    floor.side.end()
    floor.later()
    assert floor.now(task.id).event_seq == now.event_seq
    assert floor.money() == (TWELVE // 2, 0)


def test_a_batch_of_more_than_a_day_is_not_waited_for(floor: Floor) -> None:
    """I9: its tasks are read directly."""
    tasks = sent(floor, 3)
    floor.elapse(timedelta(hours=25, minutes=1))
    rescued(floor)
    assert [(t.state, t.economy) for t in map(floor.now, [t.id for t in tasks])] == [(State.RECEIVED, False)] * 3


def test_without_time_for_a_batch_it_is_read_directly_from_the_start(floor: Floor) -> None:
    """A batch takes an hour, mostly: with less than that before the deadline it is not worth trying."""
    [task] = floor.submit("fetch https://a.example/x", deadline=floor.ground.now() + timedelta(hours=1))
    floor.replica().run()
    now = floor.now(task.id)
    assert (now.state, now.economy) == (State.RECEIVED, False)
    assert floor.side.seen == []


def test_a_late_answer_does_not_reach_a_task_that_is_read_anew(floor: Floor) -> None:
    """I3: taken up by a worker meanwhile, it is not the batch's any more."""
    [task] = sent(floor, 1)
    assert floor.ground.apply(after_batch(floor.now(task.id), "schedule"))
    held = floor.ground.claimed(floor.now(task.id))
    floor.side.end()
    floor.later()
    now = floor.now(task.id)
    assert (now.state, now.lease_no, now.batch) == (State.ANALYZING, held.lease_no, None)


def test_over_the_limit_they_wait_by_name(floor: Floor) -> None:
    """I7: nothing is sent that the month's limit does not hold."""
    floor.ground.workspace.put(floor.ground.home, "budget_usd", 0.000001, None, floor.ground.rules.id)
    tasks = floor.submit(*texts(3))
    floor.replica().run()
    assert floor.states(tasks) == [State.RECEIVED] * 3
    assert {(floor.now(t.id).waiting_for, floor.failure(t)) for t in tasks} == {("budget", "over_budget")}
    assert {floor.now(task.id).economy for task in tasks} == {True}
    assert floor.side.seen == []


def test_what_the_limit_still_holds_is_sent(floor: Floor) -> None:
    """I7: of a batch that is too large as a whole, the part that fits."""
    floor.ground.workspace.put(floor.ground.home, "budget_usd", 0.005, None, floor.ground.rules.id)
    tasks = floor.submit(*texts(30))
    floor.replica().run()
    states = floor.states(tasks)
    assert (states.count(State.ANALYZING), states.count(State.RECEIVED)) == (10, 20)
    assert {floor.failure(task) for task in tasks} == {None, "over_budget"}


@pytest.mark.parametrize(
    ("status", "code", "economy"),
    [(429, "rate_limited", True), (529, "provider_overloaded", True), (401, "bad_key", True),
     (400, "request_refused", False), (413, "request_refused", False)],
)  # fmt: skip
def test_a_refused_batch_costs_nothing(floor: Floor, status: int, code: str, *, economy: bool) -> None:
    """I7: refused unread, it is given back; tasks wait by name, or are read directly where waiting does not help."""
    tasks = floor.submit(*texts(3))
    floor.side.refuse["POST create"] = refusal(status)
    floor.replica().run()
    assert floor.states(tasks) == [State.RECEIVED] * 3
    assert {(floor.failure(t), floor.now(t.id).economy) for t in tasks} == {(code, economy)}
    assert floor.money() == (0, 0)
    assert floor.ground.batches.next_due() is None


def test_a_look_that_fails_is_taken_again(floor: Floor) -> None:
    """Whatever the provider says to a look, the batch is looked at again, and nothing is lost."""
    tasks = sent(floor, 3)
    floor.side.end()
    floor.side.refuse["GET look"] = refusal(500)
    assert floor.later() == 0
    floor.side.refuse["GET results"] = httpx2.RemoteProtocolError("cut off")
    assert floor.later() == 0
    floor.side.refuse["GET results"] = httpx2.Response(200, content=b'{"custom_id": "x"\n[]\nnull\n"')
    floor.later()
    assert State.ANALYZING not in floor.states(tasks)
    assert floor.money()[1] == 0
