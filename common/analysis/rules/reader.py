"""`rules`: the analyzer without key or network. Eight recipes, Korean and English; the rest goes to a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from common.analysis.history import kept_steps
from common.analysis.rules.recipes import RECIPES, Known, may_read, nearest, read
from common.analysis.rules.sentence import Sentence, sentence_of
from common.analysis.short_texts import remembered
from common.core.task import Failure, PlanSource, Step, Task
from common.i18n import t
from common.ports import Answer, NotAnswered, Question

SOURCE: Final = PlanSource.RULES


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeView:
    """A recipe as `./aiw recipes` lists it."""

    id: str
    name: str
    sentence: str
    example: str


class Rules:
    """An Analyzer of plain patterns: certain, or silent. It asks nobody, costs nothing and knows no secret."""

    has_model = False

    def __init__(self, now: Callable[[], datetime]) -> None:
        """`now`: the present time, aware; times such as "오후 3시" are read in the workspace's zone."""
        self._now = now

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """See Analyzer: all that it says is free. Of what it cannot read it says nothing."""
        return [self._read(question) for question in questions]

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """A plan if one recipe accounts for the whole text, else a person with the nearest recipe's name."""
        return [self._read(question) or _not_read(question.task) for question in questions]

    def _read(self, question: Question) -> Answer | None:
        task = question.task
        sentence = _taken_apart(task.request.text or "")
        found = None if sentence is None else read(sentence, Known(question.policy, self._now()))
        steps = None if found is None else _new_steps(task, found[1])
        if found is None or steps is None:
            return None
        return Answer(kind=found[0], steps=steps, source=SOURCE, summary=t(f"rules.{found[0]}.name", task.request.lang))


def _not_read(task: Task) -> NotAnswered:
    name = t(f"rules.{nearest(task.request.text or '').id}.name", task.request.lang)
    return NotAnswered(failure=Failure(code="no_recipe", detail=name))


@remembered
def _seen(text: str) -> Sentence | None:
    sentence = sentence_of(text)
    return sentence if sentence is not None and may_read(sentence) else None


def _taken_apart(text: str) -> Sentence | None:
    """The sentence that some recipe may read; None: surely none does."""
    sentence = _seen(text)
    # JSON in it becomes part of a plan, and no two plans share a value that could be changed
    return sentence_of(text) if sentence is not None and sentence.bodies else sentence


def recipes(lang: str) -> list[RecipeView]:
    """What a person may write without a key, in the reader's language."""
    return [
        RecipeView(
            id=recipe.id,
            name=t(f"rules.{recipe.id}.name", lang),
            sentence=t(f"rules.{recipe.id}.sentence", lang),
            example=t(f"rules.{recipe.id}.example", lang),
        )
        for recipe in RECIPES
    ]


def _new_steps(task: Task, steps: tuple[Step, ...]) -> tuple[Step, ...] | None:
    """Those that are not already kept in front (I6); None if an earlier plan did something else under a step's name."""
    kept = {step.id: step for step in kept_steps(task)}
    if any(kept.get(step.id, step) != step for step in steps):
        return None
    new = tuple(step for step in steps if step.id not in kept)
    return new or None
