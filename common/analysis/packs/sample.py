"""What is asked again as a check (packs, remembered answers), and what it means that two readings differ (I12)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar
from uuid import UUID

from common.actions.catalogue import Catalogue
from common.analysis.history import bound_steps
from common.core.task import Effect, Risk, highest
from common.ports import Answer, NotAnswered, Question

T = TypeVar("T")

_WHOLE: Final = 2**64


def lot(questions: Sequence[Question]) -> int:
    """A number of 64 bits that depends on which tasks they are and how often each was read, and on nothing else."""
    return _number("\n".join(sorted(f"{q.task.id} {q.task.event_seq}" for q in questions)).encode())


def chosen(questions: Sequence[Question], share: float) -> bool:
    """Whether these belong to the share that is asked again."""
    return lot(questions) < share * _WHOLE


def task_chosen(task: UUID, share: float) -> bool:
    """Whether a task belongs to the share whose remembered answers are asked again: the same at every look."""
    return _number(task.bytes) < share * _WHOLE


def _number(names: bytes) -> int:
    return int.from_bytes(hashlib.sha256(names).digest()[:8])


@dataclass(frozen=True, slots=True)
class Gist:
    """What two readings of one task must agree on; words, names of steps and content may differ."""

    risk: Risk
    steps: tuple[tuple[str, Effect, frozenset[str]], ...]  # action, what repeating it does, whom it reaches and how


def gist(said: Answer, question: Question, catalogue: Catalogue) -> Gist:
    """Of an answer, its inputs filled in: what names its target by one would be as unreadable as any other."""
    bound = bound_steps(question.task, said.steps, catalogue)
    steps = tuple((step.action, catalogue.effect(step, question.policy), catalogue.aims(step)) for step in bound)
    return Gist(highest(said.risk or Risk.LOW), steps)


def compared(
    first: Answer | NotAnswered, again: Answer | NotAnswered, question: Question, catalogue: Catalogue
) -> Risk | None:
    """The risk that a second reading leaves, at least; None: they agree, or one of them failed and says nothing.

    The higher of both (I5). Where they do not even agree on the steps, a person looks: at least high.
    """
    if not isinstance(first, Answer) or not isinstance(again, Answer):
        either = isinstance(first, Answer) or isinstance(again, Answer)
        return Risk.HIGH if either and "needs_person" in (_code(first), _code(again)) else None
    one, other = gist(first, question, catalogue), gist(again, question, catalogue)
    if one == other:
        return None
    return highest(one.risk, other.risk, Risk.LOW if one.steps == other.steps else Risk.HIGH)


def raised(said: T, risk: Risk | None) -> T:
    """A reading after another one was compared with it; what claims no risk stays as it is. I5: never lowered."""
    if risk is None or not isinstance(said, Answer):
        return said
    return replace(said, risk=highest(said.risk or Risk.LOW, risk))


def _code(said: Answer | NotAnswered) -> str | None:
    return said.failure.code if isinstance(said, NotAnswered) else None
