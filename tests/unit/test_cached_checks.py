"""The analyzer that remembers: what is asked again, and what goes on without a model or money."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from common.analysis.packs.sample import task_chosen
from common.core.errors import StoreUnavailable
from common.core.task import Failure, Risk, State
from common.metrics import Metrics
from common.ports import Answer, NotAnswered, Question
from tests.unit.remembering import Ground, counted, fetches, ground, sample

__all__ = ["counted", "ground"]  # fixtures

CALL = UUID(int=77)


def test_a_share_of_hits_is_asked_again_and_counted(ground: Ground, counted: Metrics) -> None:
    """Which ones depends on the task alone: intake leaves them to the analysis, which says why it asks."""
    ground.process().analyze([ground.asks()])
    process = ground.process(checks=0.3)
    questions = [ground.asks() for _ in range(200)]
    left = [q for q, answer in zip(questions, process.recall(questions), strict=True) if answer is None]
    assert left == [q for q in questions if task_chosen(q.task.id, 0.3)]
    assert 20 < len(left) < 100
    said = process.analyze(questions)
    assert [q.task.id for q in ground.model.asked[-1]] == [q.task.id for q in left]
    assert {q.reason for q in ground.model.asked[-1]} == {"cache_check"}
    assert sum(answer.cost for answer in said) == 100 * len(left)
    assert sample(counted, "aiw_cache_checks_total", ended="agreed") == len(left)
    process.close()
    [row] = ground.rows()
    assert (row.checks, row.disagreements) == (len(left), 0)


@pytest.mark.parametrize(
    "other",
    [fetches(risk=Risk.MEDIUM), fetches("https://example.org/"), NotAnswered(failure=Failure(code="needs_person"))],
)
def test_a_disagreement_drops_the_answer_and_is_an_alarm(
    ground: Ground, counted: Metrics, other: Answer | NotAnswered
) -> None:
    """I5: of two readings the higher risk counts; the answer serves nobody any more, on neither side."""
    ground.process().analyze([ground.asks()])
    other = replace(other, call=CALL)
    ground.model.says = lambda _: other
    process = ground.process(checks=1.0)
    [said] = process.analyze([ground.asks()])
    assert ground.wrong == [(CALL, 1)]
    if isinstance(other, Answer):
        assert isinstance(said, Answer)
        assert said.steps == other.steps
        assert said.risk is not None
        assert said.risk.rank >= Risk.MEDIUM.rank
    else:
        assert said == other
    assert sample(counted, "aiw_cache_checks_total", ended="differed") == 1
    assert ground.rows() == []
    assert ground.process().recall([ground.asks()]) == [None]


@pytest.mark.parametrize(
    "fault",
    [
        NotAnswered(failure=Failure(code="over_budget"), again_in=timedelta(minutes=15), waiting_for="budget"),
        NotAnswered(failure=Failure(code="unusable_answer"), cost=5),
        StoreUnavailable("gone"),
    ],
)
def test_a_check_that_brings_nothing_is_a_hit(
    ground: Ground, counted: Metrics, fault: NotAnswered | StoreUnavailable
) -> None:
    """With no money left, or a provider that is down, remembered plans go on; what a check cost is not forgotten."""
    ground.process().analyze([ground.asks()])

    def says(_: Question) -> NotAnswered:
        if isinstance(fault, StoreUnavailable):
            raise fault
        return fault

    ground.model.says = says
    cost = fault.cost if isinstance(fault, NotAnswered) else 0
    assert ground.process(checks=1.0).analyze([ground.asks()]) == [fetches(source="cached", cost=cost)]
    assert sample(counted, "aiw_cache_checks_total", ended="agreed") == 0
    assert len(ground.rows()) == 1


def test_a_claimed_task_is_recalled_from_the_database_too(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no money left remembered plans go on, whatever Redis has lost, whether they were to be checked or not."""
    process = ground.process(checks=1.0)
    process.analyze([ground.asks()])
    ground.front.wipe()
    claimed = ground.asks(task={"state": State.ANALYZING})
    assert process.recall([ground.asks(), claimed]) == [None, fetches(source="cached", cost=0)]

    def gone(*_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(ground.answers, "find", gone)
    assert process.recall([claimed]) == [None]


def test_without_a_model_hits_go_on_and_nothing_is_checked(ground: Ground) -> None:
    """A key that was taken away takes no remembered plan with it."""
    ground.process().analyze([ground.asks()])
    ground.model.has_model = False
    assert ground.process(checks=1.0).analyze([ground.asks()]) == [fetches(source="cached", cost=0)]
    assert ground.model.tasks == 1
