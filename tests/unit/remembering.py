"""One store, a model that counts whom it was asked of, and as many processes that remember as a test wants."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from common.actions.catalogue import Catalogue
from common.adapters.memory.answers import MemoryAnswers
from common.adapters.memory.front import MemoryFront
from common.adapters.memory.store import MemoryStore
from common.analysis.cache.cached import Cached
from common.analysis.cache.shelf import Memory, Shelf
from common.core.policy import Policy
from common.core.task import Request, Risk, State, Step, Task
from common.metrics import Metrics
from common.ports import Answer, NotAnswered, Question, Remembered
from common.telemetry import metrics

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
_ids = itertools.count(1)
Says = Callable[[Question], Answer | NotAnswered]


def fetches(url: str = "https://example.com/", **other: Any) -> Answer:  # noqa: ANN401 - any field of an answer
    """An answer of a model."""
    steps = (Step(id="page", action="http.request", args={"method": "GET", "url": url}),)
    said = {"kind": "fetch_page", "steps": steps, "source": "claude", "risk": Risk.LOW, "confidence": 0.9, "cost": 100}
    return Answer(**{**said, "priority": 7, "summary": "Fetches the page.", **other})


@dataclass
class Model:
    """Who is asked and paid."""

    says: Says = lambda _: fetches()
    has_model: bool = True
    asked: list[list[Question]] = field(default_factory=list)

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """Nothing."""
        return [None] * len(questions)

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """As told."""
        self.asked.append(list(questions))
        return [self.says(question) for question in questions]

    @property
    def tasks(self) -> int:
        """How many were asked."""
        return sum(map(len, self.asked))


class Ground:
    """One store, and as many processes as a test wants."""

    def __init__(self) -> None:
        """Empty."""
        self.time = NOON
        self.store = MemoryStore(lambda: self.time)
        self.home = self.store.add_workspace("home")
        self.neighbour = self.store.add_workspace("neighbour")
        self.answers = MemoryAnswers(self.store)
        self.front = MemoryFront()
        self.model = Model()
        self.wrong: list[tuple[UUID, int]] = []  # what the ledger was told

    def process(self, name: str = "a", checks: float = 0.0, model: Model | None = None, **key: Any) -> Cached:  # noqa: ANN401 - parts of the key
        """A process's analyzer."""
        catalogue = Catalogue.shipped()
        parts = {"models": ("small", "strong"), "prompt_version": "analysis.2", **key}
        memory = Memory(answers=self.answers, front=self.front, worker=name)
        shelf = Shelf(memory, catalogue, lambda: self.time, **parts)
        return Cached(model or self.model, shelf, catalogue, checks, lambda *wrong: self.wrong.append(wrong))

    def asks(self, text: str = "fetch https://example.com/", **other: Any) -> Question:  # noqa: ANN401 - any field of a request
        """A question of a new task."""
        home, policy = other.pop("home", self.home), other.pop("policy", Policy())
        task = {"state": State.RECEIVED, **other.pop("task", {})}
        request = Request(**{"text": text, "requested_by": UUID(int=3), **other})
        made = Task(id=UUID(int=next(_ids) << 64), workspace=home, request=request, **task)
        return Question(task=made, policy=policy)

    def rows(self, home: UUID | None = None) -> list[Remembered]:
        """What is remembered."""
        return self.answers.listed(home or self.home, 100)


@pytest.fixture
def ground() -> Ground:
    """A fresh one."""
    return Ground()


@pytest.fixture
def counted() -> Metrics:
    """The process's metrics."""
    metrics.cache_clear()
    return metrics()


def sample(counted: Metrics, name: str, **labels: str) -> float:
    """A metric's value."""
    return counted.registry.get_sample_value(name, labels) or 0.0
