"""Economy, over every adapter: whoever dies, whatever is lost, nothing is lost, doubled or paid unseen."""

from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest

from common.core.lifecycle import move
from common.core.task import State
from tests.batch_side import BatchSide, refusal
from tests.contract.ground import Ground
from tests.economy_floor import LATE, MINUTE, TWELVE, Dying, Floor, Killed, dies, rescued, sent, texts


@pytest.fixture
def floor(ground: Ground) -> Floor:
    """Replicas over both kinds of adapters."""
    return Floor(ground, BatchSide(ground.now))


def test_killed_between_intent_and_parking(floor: Floor) -> None:
    """I1, I7: nothing was sent; the lease is lost, the call is voided once it would be listed, the tasks are sent."""
    tasks = floor.submit(*texts(3))
    dies(floor, batches=Dying(floor.ground.batches, "open", after=True))
    assert floor.side.seen == []
    assert floor.money()[1] > 0
    floor.elapse(6 * MINUTE)
    rescued(floor)
    floor.later(LATE)
    floor.elapse(MINUTE)
    floor.replica().run()
    assert floor.side.count("POST create") == 1
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.money() == (TWELVE // 2, 0)


def test_killed_between_parking_and_sending(floor: Floor) -> None:
    """I1, I7: what was never made is not on the provider's list: voided, and its tasks are sent anew."""
    tasks = floor.submit(*texts(3))

    def kill(what: str) -> None:
        if what == "POST create":
            raise Killed

    floor.side.before = kill
    dies(floor)
    floor.side.before = lambda _: None
    assert floor.states(tasks) == [State.ANALYZING] * 3
    assert floor.later(5 * MINUTE) == 0
    assert floor.money()[1] > 0
    floor.later(LATE)
    assert floor.states(tasks) == [State.RECEIVED] * 3
    assert [floor.now(task.id).economy for task in tasks] == [True] * 3
    assert floor.money() == (0, 0)
    floor.later(MINUTE)
    assert floor.states(tasks) == [State.ANALYZING] * 3
    assert floor.side.count("POST create") == 1


@pytest.mark.parametrize("after", [False, True])
def test_killed_between_sending_and_naming(floor: Floor, *, after: bool) -> None:
    """I7: the batch is found on the provider's list, and sent once."""
    tasks = floor.submit(*texts(3))
    dies(floor, batches=Dying(floor.ground.batches, "name", after=after))
    floor.side.end()
    floor.later()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.side.count("POST create") == 1
    floor.later(LATE)
    assert floor.money() == (TWELVE // 2, 0)


@pytest.mark.parametrize("at", ["due", "parked"])
def test_killed_before_anything_was_collected(floor: Floor, at: str) -> None:
    """I1: whoever comes next collects."""
    tasks = sent(floor, 3)
    floor.side.end()
    floor.elapse(6 * MINUTE)
    dies(floor, batches=Dying(floor.ground.batches, at, after=True))
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.money() == (TWELVE // 2, 0)


@pytest.mark.parametrize("after", [False, True])
def test_killed_between_results_and_applying(floor: Floor, *, after: bool) -> None:
    """I2: applied once, by whoever comes; each task has one event of it."""
    tasks = sent(floor, 3)
    floor.side.end()
    floor.elapse(6 * MINUTE)
    dies(floor, queue=Dying(floor.ground.queue, "apply", after=after))
    floor.later()
    for task in tasks:
        assert floor.ground.kinds(task) == ["submitted", "analysis_started", "batched", "plan_decided"]
    assert floor.money() == (TWELVE // 2, 0)


@pytest.mark.parametrize("after", [False, True])
def test_killed_between_applying_and_booking(floor: Floor, *, after: bool) -> None:
    """I7: booked once; nothing is applied again."""
    tasks = sent(floor, 3)
    floor.side.end()
    floor.elapse(6 * MINUTE)
    dies(floor, budget=Dying(floor.ground.budget, "settle", after=after))
    assert floor.states(tasks) == [State.QUEUED] * 3
    floor.later()
    assert floor.money() == (TWELVE // 2, 0)
    assert [len(floor.ground.kinds(task)) for task in tasks] == [4] * 3


def test_an_answer_that_never_came_is_found_by_listing(floor: Floor) -> None:
    """I7: made, and the answer lost: matched by time and count, ours once its custom ids are seen."""
    tasks = floor.submit(*texts(3))
    floor.side.drop.add("POST create")
    floor.replica().run()
    assert floor.states(tasks) == [State.ANALYZING] * 3
    floor.later()
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.side.count("POST create") == 1
    assert floor.money()[1] > 0  # until nothing more can have come of the request
    floor.later(LATE)
    assert floor.money() == (TWELVE // 2, 0)


def test_nothing_is_opened_beside_an_unanswered_batch(floor: Floor) -> None:
    """I7: the next one waits until it is known what became of the first."""
    floor.submit(*texts(3))
    floor.side.drop.add("POST create")
    floor.replica().run()
    more = floor.submit(*texts(2, first=50))
    floor.replica().run()
    assert floor.states(more) == [State.RECEIVED] * 2
    floor.later()
    floor.later(2 * MINUTE)
    assert floor.states(more) == [State.ANALYZING] * 2
    assert len(floor.side.batches) == 2


def test_what_was_not_made_is_voided_only_when_that_is_certain(floor: Floor) -> None:
    """I7: a request that timed out may have been made; the list is believed a quarter of an hour later, not before."""
    floor.submit(*texts(3))
    floor.side.refuse["POST create"] = httpx2.ReadTimeout("slow")
    floor.replica().run()
    floor.later(5 * MINUTE)
    assert floor.money()[1] > 0
    floor.side.refuse["GET list"] = refusal(529)
    floor.later(LATE)
    assert floor.money()[1] > 0
    floor.later()
    assert floor.money() == (0, 0)


def test_another_keys_list_proves_nothing(floor: Floor) -> None:
    """I7: a key of another account does not see what the first one made; it is assumed billed in the end."""
    tasks = floor.submit(*texts(3))
    floor.side.refuse["POST create"] = httpx2.ReadTimeout("slow")
    floor.replica().run()
    reserved = floor.money()[1]
    floor.elapse(LATE)
    floor.replica(key="sk-ant-another").run()
    assert floor.money() == (0, reserved)
    floor.elapse(timedelta(days=8))
    rescued(floor)
    assert floor.states(tasks) == [State.RECEIVED] * 3
    assert floor.ground.budget.expire() == 1
    assert floor.money() == (reserved, 0)


def test_another_programs_batch_is_waited_for_and_left_alone(floor: Floor) -> None:
    """What looks like ours by time and count and is not: never cancelled, never booked, and ours is found after it."""
    tasks = floor.submit(*texts(3))
    theirs = floor.side.foreign()
    floor.side.drop.add("POST create")
    floor.replica().run()
    ours = floor.side.last
    floor.later()
    floor.side.end(theirs)
    floor.side.end(ours)
    for _ in range(3):
        floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 3
    assert floor.money() == (TWELVE // 2, 0)
    assert floor.side.count("POST cancel") == 0


def test_what_may_be_anothers_is_not_cancelled_though_nobody_waits(floor: Floor) -> None:
    """Only time and count say that it is ours: it is let be, whoever's it is."""
    [task] = floor.submit("fetch https://a.example/x")
    floor.side.refuse["POST create"] = httpx2.ReadTimeout("slow")
    theirs = floor.side.foreign()
    floor.replica().run()
    floor.later()
    assert floor.ground.apply(move(floor.now(task.id), "cancelled", State.CANCELLED, None, "person"))
    floor.later()
    assert floor.side.count("GET look") == 1
    assert (floor.side.count("POST cancel"), theirs.status) == (0, "in_progress")


def test_results_that_name_nothing_are_not_taken_for_anothers(floor: Floor) -> None:
    """I7: a batch whose making had no answer and whose results have no line may be ours: nothing is given back."""
    floor.submit(*texts(3))
    floor.side.drop.add("POST create")
    floor.replica().run()
    reserved = floor.money()[1]
    floor.later()
    floor.side.end(fates={0: "missing"})
    floor.later()
    floor.later(LATE)
    assert floor.money() == (0, reserved)


def test_with_nothing_but_others_batches_it_is_voided(floor: Floor) -> None:
    """I7: a lost request whose only look-alike turns out to be another's was not made."""
    tasks = floor.submit(*texts(3))
    floor.side.refuse["POST create"] = httpx2.ReadTimeout("slow")
    theirs = floor.side.foreign()
    floor.replica().run()
    floor.later()
    floor.side.end(theirs)
    floor.later(LATE)
    assert floor.money() == (0, 0)
    assert floor.states(tasks) == [State.RECEIVED] * 3


def test_a_batch_that_was_made_twice_is_booked_twice_and_applied_once(floor: Floor) -> None:
    """I7, I2: the second one is an orphan: nobody waits for it, and what it cost is in the ledger."""
    tasks = floor.submit(*texts(3))
    floor.side.drop.add("POST create")
    floor.replica().run()
    again = floor.side._made(floor.side.last.requests, floor.ground.now())
    floor.later()
    for batch in floor.side.batches.values():
        floor.side.end(batch)
    for _ in range(3):
        floor.later()
    assert again.status == "ended"
    assert floor.money() == (TWELVE, 0)
    assert [len(floor.ground.kinds(task)) for task in tasks] == [4] * 3


def test_an_orphan_that_is_ours_is_cancelled_and_booked(floor: Floor) -> None:
    """I7: made by a process that had stopped for so long that the row was given up: what was done by then costs."""
    tasks = floor.submit(*texts(3))

    def stops(what: str) -> None:
        if what == "POST create":
            floor.side.before = lambda _: None
            floor.later(LATE)
            floor.later(LATE)

    floor.side.before = stops
    floor.replica().run()
    late = floor.side.last
    floor.later()
    assert late.status == "canceling"
    floor.side.end(late)
    floor.side.end(next(iter(floor.side.batches.values())))
    floor.later()
    floor.later()
    assert floor.money()[1] == 0
    assert floor.money()[0] == TWELVE // 2 * len(floor.side.batches)
    assert all(len(floor.ground.kinds(task)) <= 7 for task in tasks)
