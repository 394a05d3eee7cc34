"""Who reads a task and says how to do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol
from uuid import UUID

from common.core.policy import Policy
from common.core.spending import Standing
from common.core.task import Failure, Risk, Step, Task
from common.ports.budget import CallReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A task to be analysed: what a person wrote, what was tried, what is already done."""

    task: Task
    policy: Policy
    purpose: Literal["analysis", "preview"] = "analysis"
    standing: Standing | None = None  # how its workspace's money stands; None: whoever asks has not looked
    # of the calls that it costs, in the ledger
    reason: Literal[CallReason.FIRST, CallReason.CACHE_CHECK] = CallReason.FIRST


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A plan for it, as checked against the real actions. `risk` None: nobody claimed one (rules)."""

    kind: str
    steps: tuple[Step, ...]  # new ones only: whoever stores the plan puts what was begun in front (I6)
    source: str  # see Plan
    risk: Risk | None = None
    confidence: float | None = None  # 0 to 1, as the model says; None: it was not asked
    priority: int | None = None
    summary: str = ""
    cost: int = 0  # nanodollars: this task's share of every call that read it
    escalated: str | None = None  # why a stronger model read it: "confidence", "stakes", "failed_before"
    provisional: bool = False  # a stronger reading was wanted and could not be had: never cached
    call: UUID | None = None  # of a question that was asked again as a check: its row in the ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAnswered:
    """No plan. `again_in` None: it goes to a person (`failure` says why); else it is deferred, by name."""

    failure: Failure
    again_in: timedelta | None = None
    waiting_for: str | None = None  # "budget", "provider"
    confidence: float | None = None  # of a model that says that a person is needed
    cost: int = 0
    call: UUID | None = None  # of a question that was asked again as a check: its row in the ledger


class Analyzer(Protocol):
    """Reads tasks and says how to do them."""

    @property
    def has_model(self) -> bool:
        """Whether there is a model to ask now, so that a failed plan may be thought over again. A key may come."""

    def recall(self, questions: Sequence[Question]) -> list[Answer | None]:
        """What is known without asking anybody, in order. Free and fast; never raises."""

    def analyze(self, questions: Sequence[Question]) -> list[Answer | NotAnswered]:
        """Read tasks of one workspace and one origin (I12), in order. Never raises what a NotAnswered can say."""
