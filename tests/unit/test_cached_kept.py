"""The analyzer that remembers: what is kept, how it is read, and its books."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from common.analysis.cache.entry import answer_from, document_of
from common.core.errors import StoreUnavailable
from common.core.task import Failure, Json, Risk
from common.ports import NotAnswered, Use
from tests.unit.remembering import Ground, fetches, ground

__all__ = ["ground"]  # a fixture


def test_what_was_answered_in_other_ways_is_learned(ground: Ground) -> None:
    """A batch's answers are remembered by the same rules, and found without a flight."""
    process = ground.process()
    questions = [
        ground.asks(),
        ground.asks("fetch https://example.org/"),
        ground.asks("x with token abc123"),
        ground.asks(),
    ]
    assert process.known(questions) == [None] * 4
    fault = NotAnswered(failure=Failure(code="batch_expired"))
    process.learn(questions, [fetches(), fetches(), fetches(), fault])
    hit = fetches(source="cached", cost=0)
    assert process.known(questions) == [hit, None, None, hit]
    assert process.recall(questions) == [hit, None, None, hit]
    assert ground.model.tasks == 0


def test_a_remembered_answer_is_read_as_any_other() -> None:
    """I5: what is missing or odd is high, what is no plan is no hit, and nothing in it permits anything (I10)."""
    document = document_of(fetches())
    assert set(document) == {"kind", "summary", "steps", "risk", "confidence", "priority"}
    assert answer_from(document) == fetches(source="cached", cost=0)
    bare = document_of(fetches(risk=None, confidence=None, priority=None))
    assert answer_from(bare) == fetches(source="cached", cost=0, risk=Risk.HIGH, confidence=None, priority=None)
    assert answer_from({**document, "risk": "none"}) == fetches(source="cached", cost=0, risk=Risk.HIGH)
    odd: list[dict[str, Json]] = [
        {"steps": []},
        {"steps": "x"},
        {"steps": [{"id": "1!", "action": "value"}]},
        {"approved": True},
    ]
    for other in odd:
        assert answer_from({**document, **other}) is None
    assert answer_from({}) is None


def test_books_that_cannot_be_kept_cost_no_answer(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was answered is paid for: it counts even if the database goes away meanwhile."""

    def gone(*_: object) -> None:
        raise StoreUnavailable("gone")

    process = ground.process()
    for name in ("store", "let_go", "count", "drop"):
        monkeypatch.setattr(ground.answers, name, gone)
    assert process.analyze([ground.asks()])[0].cost == 100
    assert process.recall([ground.asks()]) != [None]  # the fast side has it
    process.close()


def test_counts_are_written_in_batches(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand hits are a statement or two, not a thousand."""
    writes: list[int] = []
    count = ground.answers.count

    def counting(uses: Sequence[Use]) -> None:
        writes.append(len(uses))
        count(uses)

    monkeypatch.setattr(ground.answers, "count", counting)
    process = ground.process()
    process.analyze([ground.asks()])
    for _ in range(100):
        process.recall([ground.asks() for _ in range(10)])
    process.close()
    assert ground.rows()[0].hits == 1000
    assert 1 <= len(writes) <= 2


def test_nothing_asked_is_nothing_done(ground: Ground) -> None:
    """An empty batch."""
    process = ground.process()
    assert (process.analyze([]), process.recall([]), process.known([])) == ([], [], [])
    process.learn([], [])
    process.close()
