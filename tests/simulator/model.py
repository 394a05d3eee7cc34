"""A model that plans, claims a risk, defers or fails as the history says; each question is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from common.core.task import Failure, Risk, Step
from common.ports import Answer, Bill, CallRequest, NotAnswered, NotReserved, Question, Usage
from tests.simulator.far_side import name_of

if TYPE_CHECKING:
    from tests.simulator.world import World

COST: Final = 1_000


@dataclass(slots=True)
class Model:
    """An `Analyzer` behind the budget: it plans, claims a risk, defers, or fails, as the history says."""

    world: World
    has_model: bool = True
    moods: list[str] = field(default_factory=list)

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """Nothing is known without asking."""
        return [None] * len(questions)

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """See Analyzer."""
        return [self._ask(question) for question in questions]

    def _ask(self, question: Question) -> Answer | NotAnswered:
        world, task = self.world, question.task
        world.point()
        wanted = CallRequest(
            workspace=task.workspace,
            purpose="analysis",
            model="m",
            prompt_version="1",
            reserve=COST,
            task_ids=(task.id,),
        )
        call = world.budget.reserve(wanted)
        world.oracle.look()
        if isinstance(call, NotReserved):
            return NotAnswered(failure=Failure(code="budget"), again_in=timedelta(minutes=30), waiting_for="budget")
        world.point()
        mood = self.moods.pop(0) if self.moods else "ok"
        if mood == "reset_after":
            world.budget.assume_billed(call)
        elif mood == "busy":
            world.budget.void(call)
        else:
            world.budget.settle(call, Bill(usage=Usage(input=10), cost=COST * 3 // 4))
        world.oracle.look()
        return self._answer(task.id, task.replans, mood)

    def _answer(self, task: UUID, replans: int, mood: str) -> Answer | NotAnswered:
        match mood:
            case "busy":
                return NotAnswered(
                    failure=Failure(code="provider"), again_in=timedelta(seconds=30), waiting_for="provider"
                )
            case "refuse":
                return NotAnswered(failure=Failure(code="no_recipe"))
            case "large":
                raise ValueError("an answer that nobody foresaw")
        risk = Risk.HIGH if mood == "reset_before" else Risk.LOW
        self.world.oracle.said[task] = risk
        names = [f"m{replans}a", f"m{replans}b"]
        steps = [_act(task, names[0], "idempotent", "low"), _act(task, names[1], "non_idempotent", "low")]
        return Answer(kind="act", steps=tuple(steps), source="claude", risk=risk, priority=3)


def _act(task: UUID, name: str, effect: str, risk: str, note: object = None) -> Step:
    args: dict[str, Any] = {"what": name_of(task, name), "effect": effect, "risk": risk}
    return Step(id=name, action="act", args=args if note is None else {**args, "note": note})
