"""What is not kept for ever: replayed requests, remembered answers, the ledger's rows. Some at a time, each minute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from common.ports import Answers, Costs, Queue

FORGET: Final = 1000  # a day of a thousand keyed tasks is dropped within a minute or two, and no statement is long


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Forgets what has been kept for long enough. Months, and what they cost in all, stay."""

    queue: Queue
    answers: Answers
    costs: Costs
    answers_kept: timedelta  # without being used; then what they cost is forgotten, too
    calls_kept: timedelta  # since their month ended

    def turn(self) -> None:
        """Once; what is left is the next minute's."""
        self.queue.forget(FORGET)
        self.answers.forget(self.answers_kept, FORGET)
        self.costs.forget(self.calls_kept, FORGET)
