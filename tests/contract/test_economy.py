"""Economy, over every adapter: sent, parked, collected; and what a batch does not answer is read directly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from common.core.task import State
from tests.batch_side import BatchSide, answer_of, message, plainly, reading
from tests.contract.ground import Ground
from tests.economy_floor import MINUTE, TWELVE, Floor, sent, texts_of


@pytest.fixture
def floor(ground: Ground) -> Floor:
    """Replicas over both kinds of adapters."""
    return Floor(ground, BatchSide(ground.now))


def test_texts_share_requests_and_wait_parked(floor: Floor) -> None:
    """Twelve are two requests of one batch; each waits by name, for a day and an hour at most (I9)."""
    tasks = sent(floor)
    assert [len(texts_of(request)) for request in floor.side.last.requests] == [10, 2]
    assert {task.batch for task in tasks} == {tasks[0].batch}
    assert {task.waiting_for for task in tasks} == {"provider"}
    assert floor.ground.kinds(tasks[0]) == ["submitted", "analysis_started", "batched"]
    record = floor.ground.reads.task(floor.ground.home, tasks[0].id)
    assert record is not None
    assert record.next_check_at is not None
    assert timedelta(hours=24) < record.next_check_at - floor.ground.now() <= timedelta(hours=25)


def test_the_worst_case_is_held_until_half_the_price_is_booked(floor: Floor) -> None:
    """I7: reserved before it is sent; once its results are known, half the price is booked and the rest given back."""
    tasks = sent(floor)
    spent, reserved = floor.money()
    assert spent == 0
    assert reserved > 2 * TWELVE
    assert floor.later() == 0
    floor.side.end()
    assert floor.later() == len(tasks)
    assert floor.states(tasks) == [State.QUEUED] * len(tasks)
    assert floor.money() == (TWELVE, 0)
    assert floor.later() == 0
    assert floor.side.count("GET results") == 1


def test_each_task_gets_its_own_answer_in_whatever_order_they_come(ground: Ground) -> None:
    """I12: an answer counts under its own nonce alone, wherever it stands in the results."""
    floor = Floor(ground, BatchSide(ground.now, lambda item, _: reading(kind=f"kind_{item['text'].split()[-1]}")))
    tasks = sent(floor)
    floor.side.end()
    floor.later()
    assert [floor.now(task.id).kind for task in tasks] == [f"kind_{n}" for n in range(12)]


def test_other_tasks_are_left_to_be_read_at_once(floor: Floor) -> None:
    """What does not say that it may wait is not claimed here."""
    urgent = floor.ground.submit(State.RECEIVED, text="fetch https://a.example/x")
    sent(floor, 1)
    assert floor.now(urgent.id).state is State.RECEIVED


def test_origins_and_workspaces_do_not_share_a_request(floor: Floor) -> None:
    """I12: one workspace a batch, one origin a request."""
    floor.submit("fetch https://a.example/1", origin="derived")
    floor.submit("fetch https://a.example/2")
    floor.ground.submit(State.RECEIVED, by=floor.ground.outsider, economy=True, text="fetch https://a.example/3")
    floor.replica().run()
    sent = [sorted(text for r in batch.requests for text in texts_of(r)) for batch in floor.side.batches.values()]
    assert sorted(sent) == [["fetch https://a.example/1", "fetch https://a.example/2"], ["fetch https://a.example/3"]]
    assert {len(texts_of(r)) for batch in floor.side.batches.values() for r in batch.requests} == {1}


@pytest.mark.parametrize(
    ("fate", "code"),
    [("errored", "batch_errored"), ("expired", "batch_expired"), ("canceled", "batch_missing"),
     ("missing", "batch_missing")],
)  # fmt: skip
def test_what_was_not_answered_is_read_directly(floor: Floor, fate: str, code: str) -> None:
    """A request that errored, expired, was cancelled or is missing takes nothing from the other."""
    tasks = sent(floor)
    floor.side.end(fates={1: fate})
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 10 + [State.RECEIVED] * 2
    assert [(floor.now(t.id).economy, floor.failure(t)) for t in tasks[10:]] == [(False, code)] * 2
    assert [floor.now(task.id).attempts for task in tasks] == [0] * 12


def test_only_what_was_answered_is_booked(floor: Floor) -> None:
    """I7: an errored request is not billed; of one that is missing nobody knows, so its share is booked in full."""
    sent(floor)
    floor.side.end(fates={1: "errored"})
    floor.later()
    assert floor.money() == (TWELVE // 2, 0)
    sent(floor, 10)
    reserved = floor.money()[1]
    floor.side.end(fates={0: "missing"})
    floor.later()
    assert floor.money() == (TWELVE // 2 + reserved, 0)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"nonce": "00000000"},
        {"steps": [{"id": "a", "action": "no.such", "args": "{}"}]},
        {"surprise": True},
        {"kind": "x", "steps": "none"},
    ],
)
def test_a_bad_item_is_read_directly_and_alone(ground: Ground, spoilt: dict[str, Any]) -> None:
    """I12: a foreign nonce or an invalid plan spoils its own task, not its neighbours in the pack."""

    def says(item: Mapping[str, Any], _model: str) -> dict[str, Any]:
        return reading(**spoilt) if item["text"].endswith(" 3") else reading()

    floor = Floor(ground, BatchSide(ground.now, says))
    tasks = sent(floor, 10)
    floor.side.end()
    floor.later()
    assert [state is State.RECEIVED for state in floor.states(tasks)] == [n == 3 for n in range(10)]
    assert floor.failure(tasks[3]) == "unusable_answer"
    assert not floor.now(tasks[3].id).economy


def test_an_answer_for_a_person_goes_to_one(ground: Ground) -> None:
    """No steps: the model says that a person is needed."""
    floor = Floor(ground, BatchSide(ground.now, lambda _item, _model: reading(steps=[])))
    [task] = sent(floor, 1)
    floor.side.end()
    floor.later()
    assert (floor.now(task.id).state, floor.failure(task)) == (State.MANUAL, "needs_person")


def test_policy_decides_whatever_the_answer_claims(ground: Ground) -> None:
    """I5: a POST that claims to be low waits for a person."""
    step = {"id": "a", "action": "http.request", "args": json.dumps({"url": "https://a.example/x", "method": "POST"})}
    floor = Floor(ground, BatchSide(ground.now, lambda _item, _model: reading(steps=[step])))
    [task] = sent(floor, 1)
    floor.side.end()
    floor.later()
    assert floor.now(task.id).state is State.AWAITING_APPROVAL


def test_a_request_that_is_answered_twice_is_not_believed(floor: Floor) -> None:
    """I12: of two results under one custom id nobody knows which is right; both may have been billed (I7)."""
    tasks = sent(floor)
    batch = floor.side.end()
    first = {"custom_id": batch.custom_ids[0], "result": {"type": "succeeded", "message": message(
        answer_of(batch.requests[0]["params"], plainly))}}  # fmt: skip
    second = {"custom_id": batch.custom_ids[1], "result": {"type": "succeeded", "message": message(
        answer_of(batch.requests[1]["params"], plainly))}}  # fmt: skip
    batch.results = [first, second, first]
    floor.elapse(6 * MINUTE)
    [on_record] = floor.ground.batches.due(10)
    floor.later()
    assert floor.states(tasks) == [State.RECEIVED] * 10 + [State.QUEUED] * 2
    assert floor.money() == (on_record.asked[0].most + TWELVE // 2, 0)
