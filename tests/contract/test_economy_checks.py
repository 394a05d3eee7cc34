"""Economy, over every adapter: a sample is asked again in the same batch (I12)."""

# ruff: noqa: ANN401 - any field of a request, any port

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from common.core.task import Risk, State
from tests.batch_side import BatchSide, plainly, reading
from tests.contract.ground import Ground
from tests.economy_floor import MINUTE, STRONG, TWELVE, Dying, Floor, dies, sent, texts, texts_of


def checking(ground: Ground, says: Any = plainly, **floor: Any) -> Floor:
    """Replicas that ask every pack a second time."""
    return Floor(ground, BatchSide(ground.now, says), checks=1.0, **floor)


def of_two_minds(**other: Any) -> Any:
    """A model that says something else of the text number 3 when it is asked again."""
    asked: list[str] = []

    def says(item: Mapping[str, Any], _model: str) -> dict[str, Any]:
        text = str(item["text"])
        asked.append(text)
        return reading(**(other if text.endswith(" 3") and asked.count(text) > 1 else {}))

    return says


def test_a_sample_is_asked_again_in_the_same_batch(ground: Ground) -> None:
    """I12: of each pack one alone and all in another order; counted and booked apart, within what was reserved (I7)."""
    floor = checking(ground)
    tasks = sent(floor)
    asked = [texts_of(request) for request in floor.side.last.requests]
    assert [len(one) for one in asked] == [10, 2, 1, 10, 1, 2]
    assert (asked[3], asked[5]) == (asked[0][::-1], asked[1][::-1])
    assert asked[2][0] in asked[0]
    reserved = floor.money()[1]
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 12
    assert floor.money() == (3 * TWELVE, 0)
    assert reserved > 3 * TWELVE
    spent = ground.costs.month(ground.home)
    first, checks = spent.whys["analysis", "first"], spent.whys["analysis", "check"]
    assert (first.cost, first.tasks) == (TWELVE, 12)
    assert (checks.cost, checks.tasks, checks.disagreements) == (2 * TWELVE, 14, 0)
    assert checks.saved.pack == -2 * TWELVE


def test_what_is_alone_is_not_asked_again(ground: Ground) -> None:
    """There is nobody whose answer it could have got."""
    floor = checking(ground)
    sent(floor, 1)
    assert len(floor.side.last.requests) == 1


def test_what_the_strong_model_reads_is_not_asked_again(ground: Ground) -> None:
    """I12: the sample is of first readings: a second one would cost three times as much and depend on the draw."""
    floor = Floor(ground, BatchSide(ground.now, lambda *_: reading(confidence=0.2)), strong=STRONG, checks=1.0)
    sent(floor, 5)
    assert len(floor.side.last.requests) == 3
    floor.side.end()
    floor.later()
    [request] = floor.side.last.requests
    assert request["params"]["model"] == STRONG
    assert len(texts_of(request)) == 5


def test_where_readings_differ_a_person_looks(ground: Ground) -> None:
    """I5, I12: the higher risk of both, at least high where they do not agree on the steps; and it is counted."""
    step = {"id": "b", "action": "http.request", "args": json.dumps({"url": "https://b.example/other"})}
    floor = checking(ground, of_two_minds(steps=[step]))
    tasks = sent(floor, 5)
    floor.side.end()
    floor.later()
    assert [state is State.AWAITING_APPROVAL for state in floor.states(tasks)] == [n == 3 for n in range(5)]
    plan = floor.now(tasks[3].id).plan
    assert plan is not None
    assert plan.risk is Risk.HIGH
    assert ground.costs.month(ground.home).all.disagreements in {1, 2}  # the one alone may be the same


def test_a_check_that_cannot_be_used_says_nothing(ground: Ground) -> None:
    """I12: errored, missing or invalid, it takes nothing from the reading that it was to check."""
    floor = checking(ground, of_two_minds(steps="none"))
    tasks = sent(floor, 5)
    floor.side.end(fates={1: "errored"})
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 5
    assert ground.costs.month(ground.home).all.disagreements == 0
    assert floor.money() == (TWELVE, 0)


def test_a_check_that_has_no_line_is_the_batches_own_cost(ground: Ground) -> None:
    """I7, I12: it checked nothing, and may have been billed; those that were answered are counted apart."""
    floor = checking(ground)
    tasks = sent(floor, 5)
    floor.elapse(6 * MINUTE)
    [on_record] = ground.batches.due(10)
    floor.side.end(fates={2: "missing"})
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 5
    assert floor.money() == (TWELVE + on_record.asked[2].most, 0)
    checks = ground.costs.month(ground.home).whys["analysis", "check"]
    assert (checks.tasks, checks.cost) == (1, TWELVE // 2)


def test_without_money_for_checks_it_is_sent_without_them(ground: Ground) -> None:
    """I7: what is left of the month holds the readings and not their checks."""
    floor = checking(ground)
    plain = Floor(ground, floor.side)
    sent(plain, 5)
    least = plain.money()[1]
    floor.side.end()
    floor.later()
    spent = floor.money()[0]
    limit = (spent + least + least // 2) / 10**9
    ground.workspace.put(ground.home, "budget_usd", limit, None, ground.rules.id)
    tasks = sent(floor, 5)
    assert len(floor.side.last.requests) == 1
    floor.side.end()
    floor.later()
    assert floor.states(tasks) == [State.QUEUED] * 5


@pytest.mark.parametrize("at", ["checked", "settle"])
@pytest.mark.parametrize("after", [False, True])
def test_killed_around_the_booking_of_checks(ground: Ground, at: str, *, after: bool) -> None:
    """I7: each part is booked once, whoever comes."""
    floor = checking(ground, of_two_minds(risk="high"))
    tasks = sent(floor, 5)
    floor.side.end()
    floor.elapse(6 * MINUTE)
    if at == "checked":
        dies(floor, batches=Dying(floor.ground.batches, at, after=after))
    else:
        dies(floor, budget=Dying(floor.ground.budget, at, after=after))
    floor.later()
    assert State.ANALYZING not in floor.states(tasks)
    assert floor.money() == (TWELVE // 2 * 3, 0)
    assert ground.costs.month(ground.home).whys["analysis", "check"].calls == 1


def test_the_second_of_two_that_were_made_is_booked_whole(ground: Ground) -> None:
    """I7: nobody waits for an orphan: no part of it checks anything."""
    floor = checking(ground)
    floor.submit(*texts(5))
    floor.side.drop.add("POST create")
    floor.replica().run()
    floor.side._made(floor.side.last.requests, ground.now())
    floor.later()
    for batch in floor.side.batches.values():
        floor.side.end(batch)
    for _ in range(3):
        floor.later()
    assert floor.money() == (TWELVE // 2 * 6, 0)
    whys = ground.costs.month(ground.home).whys
    assert (whys["analysis", "check"].calls, whys["analysis", "orphan"].cost) == (1, TWELVE // 2 * 3)
