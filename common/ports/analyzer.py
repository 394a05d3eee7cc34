"""Who reads a task and says how to do it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol

from common.core.policy import Policy
from common.core.task import Failure, Risk, Step, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A task to be analysed: what a person wrote, what was tried, what is already done."""

    task: Task
    policy: Policy
    purpose: Literal["analysis", "preview"] = "analysis"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A plan for it, as checked against the real actions. `risk` None: nobody claimed one (rules)."""

    kind: str
    steps: tuple[Step, ...]
    source: str
    risk: Risk | None = None
    priority: int | None = None
    summary: str = ""
    cost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAnswered:
    """No plan. `again_in` None: it goes to a person (`failure` says why); else it is deferred, by name."""

    failure: Failure
    again_in: timedelta | None = None
    waiting_for: str | None = None  # "budget", "provider"
    cost: int = 0


class Analyzer(Protocol):
    """Reads a task and says how to do it."""

    @property
    def has_model(self) -> bool:
        """Whether there is a model to ask now, so that a failed plan may be thought over again. A key may come."""

    def analyze(self, question: Question) -> Answer | NotAnswered:
        """Never raises what it can say in a NotAnswered."""
