"""Economy, over every adapter: what the small model doubts goes into a batch of the strong one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from common.core.task import Risk, State
from tests.batch_side import BatchSide, reading, refusal
from tests.contract.ground import Ground
from tests.economy_floor import LATE, MINUTE, SMALL, STRONG, Floor, Killed, dies, sent, texts


def doubtful(item: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The small model is unsure of every other task and claims that it is medium; the strong one is sure of all."""
    odd = int(item["text"].split()[-1]) % 2 == 1
    if model == STRONG:
        return reading(kind="read_again", confidence=0.95)
    return reading(confidence=0.2 if odd else 0.9, risk="medium" if odd else "low")


def test_what_the_small_model_doubts_goes_into_a_batch_of_the_strong_one(ground: Ground) -> None:
    """I5: of two readings the higher claim counts; both are booked at half the price."""
    floor = Floor(ground, BatchSide(ground.now, doubtful), strong=STRONG)
    tasks = sent(floor, 4)
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED, State.ANALYZING, State.QUEUED, State.ANALYZING]
    assert floor.ground.kinds(tasks[1]) == ["submitted", "analysis_started", "batched", "batched"]
    first, second = floor.side.batches.values()
    assert first.requests[0]["params"]["model"] == SMALL
    assert second.requests[0]["params"]["model"] == STRONG
    floor.side.end(second)
    floor.later()
    unsure = [floor.now(tasks[1].id), floor.now(tasks[3].id)]
    assert [(t.state, t.kind) for t in unsure] == [(State.AWAITING_APPROVAL, "read_again")] * 2
    assert [t.plan.risk for t in unsure if t.plan] == [Risk.MEDIUM] * 2
    assert floor.money()[1] == 0


def test_killed_between_the_second_batch_and_its_sending(ground: Ground) -> None:
    """I1: what was passed on and never sent is read in a batch anew; the first one is booked once."""
    floor = Floor(ground, BatchSide(ground.now, doubtful), strong=STRONG)
    tasks = sent(floor, 4)
    floor.side.end()

    def kill(what: str) -> None:
        if what == "POST create":
            raise Killed

    floor.elapse(6 * MINUTE)
    floor.side.before = kill
    dies(floor)
    floor.side.before = lambda _: None
    for _ in range(3):
        floor.later(LATE)
    for _ in range(3):
        for batch in floor.side.batches.values():
            floor.side.end(batch)
        floor.later()
    assert State.ANALYZING not in floor.states(tasks)
    assert floor.money()[1] == 0


def test_without_money_for_the_strong_model_a_person_looks(ground: Ground) -> None:
    """I5: what the small one said is used at a high risk, as it is paid for."""
    floor = Floor(ground, BatchSide(ground.now, doubtful), strong=STRONG)
    tasks = sent(floor, 4)
    floor.side.end()
    floor.ground.workspace.put(floor.ground.home, "budget_usd", 0.002, None, floor.ground.rules.id)
    floor.later()
    assert floor.states(tasks) == [State.QUEUED, State.AWAITING_APPROVAL] * 2
    assert [t.plan.risk for t in map(floor.now, [tasks[1].id, tasks[3].id]) if t.plan] == [Risk.HIGH] * 2
    assert floor.money()[1] == 0


def test_a_strong_batch_that_is_refused_leaves_nobody_parked(ground: Ground) -> None:
    """I9: what had been parked on it already is decided by what the small model said, and a person looks."""
    floor = Floor(ground, BatchSide(ground.now, doubtful), strong=STRONG)
    tasks = sent(floor, 4)
    floor.side.end()
    floor.side.refuse["POST create"] = refusal(429)
    floor.later()
    assert floor.states(tasks) == [State.QUEUED, State.AWAITING_APPROVAL] * 2
    assert floor.money()[1] == 0


def test_a_second_batch_waits_for_an_unanswered_one(ground: Ground) -> None:
    """I7: until it can be opened the first is not booked, and what is certain is applied already."""
    floor = Floor(ground, BatchSide(ground.now, doubtful), strong=STRONG)
    tasks = sent(floor, 4)
    first = floor.side.end()
    floor.submit(*texts(1, first=50))
    floor.side.drop.add("POST create")
    floor.replica().run()
    floor.elapse(MINUTE + timedelta(seconds=5))
    floor.replica().run()
    assert floor.states(tasks) == [State.QUEUED, State.ANALYZING] * 2
    assert floor.money()[0] == 0
    for _ in range(3):
        for batch in floor.side.batches.values():
            floor.side.end(batch)
        floor.later()
    assert State.ANALYZING not in floor.states(tasks)
    assert first.status == "ended"
    assert floor.money()[1] == 0
