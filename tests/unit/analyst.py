"""An analyst over memory, and an analyzer that says what it is told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.adapters.system_clock import SystemClock
from common.core.task import Failure, State, Step, Task
from common.ports import Answer, Bill, CallRequest, NotAnswered, Question, Usage
from functions.analyze.analysis import Analyst, Means
from tests.contract.ground import Ground
from tests.contract.in_memory import over_memory
from tests.unit.desk import Told

LINGER = timedelta(seconds=2)
FREE = Answer(kind="note", steps=(Step(id="s", action="value", args={"value": 1}),), source="cached")
BUSY = NotAnswered(failure=Failure(code="provider_overloaded"), again_in=timedelta(seconds=40), waiting_for="provider")


@dataclass
class Script:
    """An analyzer that says of each text what it is told to, and remembers which it was asked about together."""

    says: dict[str, Answer | NotAnswered] = field(default_factory=dict)
    knows: dict[str, Answer] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)
    has_model: bool = True
    before: Callable[[], object] = lambda: None

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """What is free."""
        return [self.knows.get(text_of(question)) for question in questions]

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """As told; a harmless plan else."""
        self.before()
        self.asked.append([text_of(question) for question in questions])
        return [self.says.get(text_of(question), replace(FREE, source="claude")) for question in questions]


def text_of(question: Question) -> str:
    """What was asked."""
    return question.task.request.text or ""


class Bench:
    """An analyst over memory."""

    def __init__(self, script: Script | None = None, **means: Any) -> None:  # noqa: ANN401 - any of Means
        """`script`: what the analyzer says."""
        self.ground: Ground = over_memory()
        self.script = script or Script()
        self.draining = False
        made = Means(
            queue=self.ground.queue,
            workspace=self.ground.workspace,
            analyzer=self.script,
            budget=self.ground.budget,
            catalogue=Catalogue.shipped(),
            clock=SystemClock(),
            notifier=Told(),
            worker="a",
            lease=timedelta(seconds=60),
            claim_tasks=100,
            at_once=8,
            pack_tasks=10,
            linger=LINGER,
        )
        self._pool = ThreadPoolExecutor(4)
        self.analyst = Analyst(replace(made, **means), self._pool, lambda: self.draining)

    def text(self, text: str, **new: Any) -> UUID:  # noqa: ANN401 - whatever a submission takes
        """A task that waits to be read."""
        return self.ground.submit(State.RECEIVED, text=text, **new).id

    def turn(self) -> int:
        """A turn once the texts have lingered; how many were claimed."""
        self.ground.elapse(LINGER)
        return self.analyst.turn().claimed

    def task(self, task: UUID) -> Task:
        """As it is now."""
        return self.ground.get(task)

    def spend(self, percent: int) -> None:
        """So much of the month's money is gone."""
        month = self.ground.budget.month(self.ground.home)
        cost = month.cap * percent // 100 - month.spent
        call = CallRequest(workspace=self.ground.home, purpose="generate", model="m", prompt_version="p", reserve=cost)
        row = self.ground.budget.reserve(call)
        assert isinstance(row, UUID)
        self.ground.budget.settle(row, Bill(usage=Usage(), cost=cost))
