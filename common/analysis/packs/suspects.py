"""Texts on which the provider fails while it answers others: asked alone, and after some failures more a person's.

A call without an answer may be billed, so a text that brings the provider down would cost a call for ever, and its
neighbours an answer. What is known of it is read from the ledger, whoever asked: nothing of it is stored elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from common.analysis.call import Billed, Fault
from common.core.errors import Unavailable
from common.core.unanswered import Unanswered, in_a_row
from common.ports import Budget, NotAnswered, Question
from common.telemetry import code_of, note

# What a provider does that may be a text's doing. That it is overloaded is not.
FAILED: Final = frozenset({"provider_error", "provider_timeout", "provider_reset"})
TOGETHER: Final = 2  # so often with its neighbours: a hiccup is not looked into
ALONE: Final = 3  # so often by itself, and others answered in between
CODE: Final = "provider_fails_on_this"


class Suspects:
    """Tells a text that the provider fails on from a provider that is down."""

    def __init__(self, budget: Budget) -> None:
        """`budget`: the ledger."""
        self._budget = budget

    def alone(self, questions: Sequence[Question]) -> frozenset[int]:
        """The places of those that are to share their call with nobody."""
        seen = {q.task.id: n for n, q in enumerate(questions) if q.task.failure and q.task.failure.code in FAILED}
        if not seen or len(questions) == 1:
            return frozenset()
        return frozenset(seen[task] for task, found in self._unanswered([*seen]).items() if found.calls >= TOGETHER)

    def judged(self, question: Question, fault: Fault, said: NotAnswered) -> NotAnswered:
        """What is said of a task whose own call brought a fault: it waits, or it is a person's."""
        if question.purpose != "analysis" or fault.code not in FAILED or fault.billed is Billed.NO:
            return said
        found = self._unanswered([question.task.id]).get(question.task.id)
        if found is None or found.alone < ALONE:
            return said
        note(CODE, logging.WARNING, task=str(question.task.id), why=fault.code, status=fault.status)
        return replace(said, failure=said.failure.model_copy(update={"code": CODE}), again_in=None, waiting_for=None)

    def _unanswered(self, tasks: Sequence[UUID]) -> dict[UUID, Unanswered]:
        """What the ledger says of each; while it does not answer, nobody is suspected."""
        try:
            tries = self._budget.tries(tasks)
        except Unavailable as exc:
            note("suspects_not_known", logging.WARNING, error=code_of(exc))
            return {}
        return {task: in_a_row(of) for task, of in tries.items()}
