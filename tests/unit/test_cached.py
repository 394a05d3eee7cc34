"""The analyzer that remembers, over memory: what is paid once, and shared with whom."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from common.analysis.cache.shelf import FLIGHT
from common.core.errors import StoreUnavailable
from common.core.policy import Policy
from common.core.task import Failure, Json, Plan, Risk, Step
from common.metrics import Metrics
from common.ports import Answer, NotAnswered, Question
from tests.unit.remembering import Ground, counted, fetches, ground, sample

__all__ = ["counted", "ground"]  # fixtures


def test_what_was_asked_once_is_not_paid_again(ground: Ground, counted: Metrics) -> None:
    """A hit carries the reading, costs nothing, and says that it was remembered."""
    one, two = ground.process("a"), ground.process("b")
    [paid] = one.analyze([ground.asks()])
    assert (paid.cost, ground.model.tasks) == (100, 1)
    [hit] = two.analyze([ground.asks("  fetch   https://example.com/ ")])
    assert hit == fetches(source="cached", cost=0)
    assert ground.model.tasks == 1
    assert sample(counted, "aiw_cache_total", side="postgres", ended="hit") == 1
    assert sample(counted, "aiw_cache_total", side="postgres", ended="miss") == 1
    [row] = ground.rows()
    assert (row.cost, row.model, row.prompt_version) == (100, "small strong", "analysis.2")
    two.close()
    assert ground.rows()[0].hits == 1


def test_intake_finds_it_on_the_fast_side_alone(ground: Ground, counted: Metrics) -> None:
    """One look for all of a request; what the fast side lost is found by the analysis, which hands it back."""
    process = ground.process()
    assert process.recall([ground.asks(), ground.asks()]) == [None, None]
    process.analyze([ground.asks()])
    hits = process.recall([ground.asks(), ground.asks("fetch https://example.org/"), ground.asks()])
    assert hits == [fetches(source="cached", cost=0), None, fetches(source="cached", cost=0)]
    ground.front.wipe()
    assert process.recall([ground.asks()]) == [None]
    process.analyze([ground.asks()])
    assert process.recall([ground.asks()]) != [None]
    assert ground.model.tasks == 1
    assert sample(counted, "aiw_cache_total", side="redis", ended="hit") == 3
    process.close()
    assert ground.rows()[0].hits == 4


def test_fifty_equal_tasks_in_one_claim_pay_once(ground: Ground, counted: Metrics) -> None:
    """The first is asked, the others share its answer; others of the claim are asked in the same call."""
    questions = [ground.asks(f"fetch https://example.com/{n % 2}") for n in range(50)]
    ground.model.says = lambda q: fetches(str(q.task.request.text).removeprefix("fetch "))
    said = ground.process().analyze(questions)
    assert [len(asked) for asked in ground.model.asked] == [2]
    assert [answer.cost for answer in said] == [100, 100] + [0] * 48
    assert [answer.source for answer in said if isinstance(answer, Answer)] == ["claude"] * 2 + ["cached"] * 48
    urls = [answer.steps[0].args["url"] for answer in said if isinstance(answer, Answer)]
    assert urls == [f"https://example.com/{n % 2}" for n in range(50)]
    assert sample(counted, "aiw_cache_total", side="claim", ended="hit") == 48


def test_of_many_processes_at_once_one_pays(ground: Ground) -> None:
    """The others learn that somebody asks, wait about a second without a person in between, and find the answer."""
    began, answered = threading.Event(), threading.Event()

    def slowly(_: Question) -> Answer:
        began.set()
        assert answered.wait(10)
        return fetches()

    ground.model.says = slowly
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ground.process("a").analyze, [ground.asks()])
        assert began.wait(10)
        for n in range(10):
            [waits] = ground.process(f"b{n}").analyze([ground.asks()])
            assert waits == NotAnswered(
                failure=Failure(code="asked_already"), again_in=timedelta(seconds=1), waiting_for="analysis"
            )
        ground.time += timedelta(seconds=6)
        [waits] = ground.process("c").analyze([ground.asks()])
        assert waits.again_in == timedelta(seconds=3)  # type: ignore[union-attr]  # a NotAnswered, as above
        answered.set()
        assert isinstance(first.result(10)[0], Answer)
    assert isinstance(ground.process("c").analyze([ground.asks()])[0], Answer)
    assert ground.model.tasks == 1


def test_a_dead_askers_flight_ends(ground: Ground) -> None:
    """Whoever died while asking keeps others waiting for two minutes, and not for ever."""
    question = ground.asks()
    shelf = ground.process("dead")._shelf
    shelf.take(ground.home, [shelf.asking(question)])
    assert isinstance(ground.process("b").analyze([ground.asks()])[0], NotAnswered)
    ground.time += FLIGHT
    assert isinstance(ground.process("b").analyze([ground.asks()])[0], Answer)


@pytest.mark.parametrize(
    "said",
    [
        NotAnswered(failure=Failure(code="rate_limited"), again_in=timedelta(seconds=30), waiting_for="provider"),
        NotAnswered(failure=Failure(code="needs_person"), cost=100),
    ],
)
def test_no_answer_is_shared_in_its_claim_and_remembered_by_nobody(ground: Ground, said: NotAnswered) -> None:
    """A fault is no answer: the flight ends, equal tasks of the claim follow the first, the next claim may ask."""
    ground.model.says = lambda _: said
    assert ground.process().analyze([ground.asks(), ground.asks()]) == [said, replace(said, cost=0)]
    ground.model.says = lambda _: fetches()
    assert isinstance(ground.process("b").analyze([ground.asks()])[0], Answer)


def test_an_error_ends_the_flight(ground: Ground) -> None:
    """What an analyzer raises is raised, and nobody waits for it."""

    def broken(_: Question) -> Answer:
        raise StoreUnavailable("gone")

    ground.model.says = broken
    with pytest.raises(StoreUnavailable):
        ground.process().analyze([ground.asks()])
    ground.model.says = lambda _: fetches()
    assert isinstance(ground.process("b").analyze([ground.asks()])[0], Answer)


def test_what_may_not_serve_another_later_does_not_serve_another_now(ground: Ground) -> None:
    """A made up id is one task's own: each of several equal tasks is asked, and none of it is kept."""
    ids = itertools.count(100)
    ground.model.says = lambda _: fetches(f"https://example.com/{next(ids)}")
    said = ground.process().analyze([ground.asks() for _ in range(4)])
    urls = {answer.steps[0].args["url"] for answer in said if isinstance(answer, Answer)}
    assert len(urls) == 4
    assert [len(asked) for asked in ground.model.asked] == [1, 3]
    assert ground.rows() == []
    assert isinstance(ground.process("b").analyze([ground.asks()])[0], Answer)  # nobody is left waiting


PLAN = Plan(
    number=1,
    steps=(Step(id="a", action="value", args={"value": 1}),),
    source="claude",
    risk_floor=Risk.LOW,
    risk=Risk.LOW,
    needs_approval=False,
    policy_version=1,
)


def test_only_first_readings_without_secrets_are_looked_up(ground: Ground) -> None:
    """A plan that failed is thought over; a text with a password is asked as it is and left nowhere (I11)."""
    process = ground.process()
    process.analyze([ground.asks()])
    failed = ground.asks(task={"plan": PLAN, "failure": Failure(code="http_status", step="a")})
    secret = ground.asks("log in with password hunter2x at https://example.com/")
    assert process.recall([failed, secret]) == [None, None]
    said = process.analyze([failed, secret, secret])
    assert [answer.source for answer in said if isinstance(answer, Answer)] == ["claude"] * 3
    assert [row.request for row in ground.rows()] == ["fetch https://example.com/"]


def test_a_preview_fills_and_uses_the_cache_and_is_never_a_check(ground: Ground) -> None:
    """Whoever looks before handing in pays once for both."""
    process = ground.process(checks=1.0)
    preview = replace(ground.asks(), purpose="preview")
    process.analyze([preview])
    assert process.recall([preview]) == [fetches(source="cached", cost=0)]
    assert process.analyze([preview]) == [fetches(source="cached", cost=0)]
    assert ground.model.tasks == 1


def test_workspaces_languages_models_and_prompts_share_nothing(ground: Ground) -> None:
    """I10: what another workspace, language, model, prompt or settings' name was told is asked anew."""
    ground.process().analyze([ground.asks()])
    others = [
        (ground.process(), ground.asks(home=ground.neighbour)),
        (ground.process(), ground.asks(lang="ko")),
        (ground.process(), ground.asks(inputs={"x": 1})),
        (ground.process(), ground.asks(policy=Policy(channels={"ops": "https://example.com/"}))),
        (ground.process(models=("strong",)), ground.asks()),
        (ground.process(prompt_version="analysis.3"), ground.asks()),
    ]
    for process, question in others:
        assert process.recall([question]) == [None]
        assert process.analyze([question])[0].cost == 100


def test_inputs_are_filled_in_by_each_task(ground: Ground) -> None:
    """A remembered plan refers to inputs; of a task whose inputs lack what another's had it is no hit."""
    args: dict[str, Json] = {"value": {"$ref": "inputs.order.id"}}
    ground.model.says = lambda _: fetches(steps=(Step(id="a", action="value", args=args),))
    process = ground.process()
    process.analyze([ground.asks("keep it", inputs={"order": {"id": "A1"}})])
    same = ground.asks("keep it", inputs={"order": {"id": "B2"}})
    [hit] = process.analyze([same])
    assert isinstance(hit, Answer)
    assert hit.steps[0].args == args
    process.recall([ground.asks("keep it", inputs={"order": {"id": "C3"}})])
    null = ground.asks("keep it", inputs={"order": {"id": ""}})
    assert process.analyze([null])[0].cost == 0
    ground.model.says = lambda _: fetches(source="claude")
    lacks = [ground.asks("keep", inputs={"order": [{"id": 1}]}), ground.asks("keep", inputs={"order": [{}]})]
    assert all(answer.cost == 100 for answer in process.analyze(lacks))
