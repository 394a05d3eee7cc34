"""What `./aiw bench claude` measures with: tasks that are as described, and a table that says the figures."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

import pytest

from bench.claude import report
from bench.claude.run import Measured, Tokens
from bench.claude.ways import WAYS
from bench.claude.workload import Workload, workload
from common.actions.catalogue import Catalogue
from common.analysis.cache.time_words import speaks_of_time
from common.analysis.rules.reader import Rules
from common.core.policy import Function, Policy
from common.core.task import Request, Risk, State, Step, Task
from common.ports import Answer, Question
from tests.metered.tokens import tokens

NOW = datetime(2026, 11, 24, tzinfo=UTC)
POLICY = Policy(functions={"ocr": Function(url="http://127.0.0.1:9/")}, channels={"ops": "http://127.0.0.1:9/"})


@pytest.fixture(scope="module")
def work() -> Workload:
    """The thousand tasks."""
    return workload()


def test_the_tasks_are_as_described(work: Workload) -> None:
    """A thousand, 40 % of them repeats, half Korean, 15 % of the different ones hard, as long as was assumed."""
    texts = Counter(task.text for task in work.tasks)
    assert (texts.total(), len(texts)) == (1000, 600)
    assert set(texts) == set(work.known)
    assert 0.4 <= sum(task.lang == "ko" for task in work.tasks) / 1000 <= 0.6
    hard = [known for known in work.known.values() if known.confidence < 0.6 or known.risk in {"high", "critical"}]
    assert len(hard) == 90
    assert 330 <= sum(map(tokens, texts)) / 600 <= 430
    answers = [tokens(json.dumps(known.said(strong=False), ensure_ascii=False)) for known in work.known.values()]
    assert 180 <= sum(answers) / 600 <= 240
    assert not any(map(speaks_of_time, texts))
    assert workload() == work


def test_the_tasks_need_a_model_and_its_plans_are_good(work: Workload) -> None:
    """No recipe reads one of them; each plan is valid, refused by nobody, and as risky as the workload says."""
    catalogue, rules = Catalogue.shipped(), Rules(lambda: NOW)
    for text, known in work.known.items():
        request = Request(text=text, requested_by=UUID(int=1))
        task = Task(id=UUID(int=2), workspace=UUID(int=3), state=State.ANALYZING, request=request)
        [by_rules] = rules.analyze([Question(task=task, policy=POLICY)])
        assert not isinstance(by_rules, Answer), text
        steps = catalogue.read(
            [Step(id=name, action=action, args=dict(args)) for name, action, args in known.steps], {}, NOW
        )
        catalogue.refuse(steps, POLICY)
        assert catalogue.assess(steps, request, POLICY, claimed=Risk(known.risk)).risk is Risk(known.risk), text


def measured(way: str, calls: int, nanodollars: int) -> Measured:
    """A way that cost so much."""
    return Measured(
        way=way, tasks=1000, calls=calls, strong_calls=0, nanodollars=nanodollars, strong_nanodollars=0,
        booked=nanodollars, reasons={"first": calls}, tokens=Tokens(input=1, output=1, cache_read=0, cache_write=0),
        seconds=1.0,
    )  # fmt: skip


def test_a_goal_is_dollars_and_calls() -> None:
    """One that is missed by either is missed, and named; a way without a goal has nothing to miss."""
    naive, real_time, economy = WAYS[0].name, WAYS[-2].name, WAYS[-1].name
    good = [measured(naive, 1000, 9 * 10**9), measured(real_time, 130, 450_000_000), measured(economy, 400, 25 * 10**7)]
    assert report.missed(good) == []
    assert report.missed([measured(real_time, 131, 1), measured(economy, 1, 250_000_001)]) == [real_time, economy]
    shown = report.table(good)
    assert f"| {real_time} | 130 | 0 | 0.450 | 5.0% |" in shown
    assert f"{real_time}: reached: at most $0.45 and 130 calls" in shown
    assert json.loads(report.document(good))["missed"] == []


def test_each_lever_is_switched_by_itself() -> None:
    """Between the naive ways and all together lies one way for each lever."""
    levers = ("cache", "packs", "cascade", "prompt_cache", "economy")
    alone = [[lever for lever in levers if getattr(way, lever)] for way in WAYS]
    assert alone[:2] == [[], []]
    assert sorted(alone[2:7]) == sorted([lever] for lever in levers)
    assert alone[7:] == [list(levers[:4]), list(levers)]
