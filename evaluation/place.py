"""The installation in which the labelled tasks are read: its settings, its present moment, and tasks as it stores them.

The set's times, functions and channels are meant here and nowhere else, so none of it comes from the environment.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid5

from common.actions.catalogue import Catalogue
from common.core.policy import Function, Policy, planned
from common.core.task import Attempt, Effect, OutcomeKind, Plan, Request, State, Task
from common.ports import Question
from evaluation.label import Before, Label

NOW: Final = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)  # a Tuesday, ten in the morning in Seoul
WORKSPACE: Final = UUID(int=1)
PERSON: Final = UUID(int=2)
POLICY: Final = Policy(
    version=1,
    time_zone="Asia/Seoul",
    functions={
        name: Function(url=f"https://functions.invalid/{name}")
        for name in ("backup", "invoice-pdf", "ocr", "thumbnail", "translate")
    },
    channels={name: f"https://channels.invalid/{name}" for name in ("oncall", "ops", "sales")},
    notify="ops",
)


def now() -> datetime:
    """The set's present moment."""
    return NOW


def question_of(label: Label, catalogue: Catalogue) -> Question:
    """The question about a labelled task, as `analyze` would ask it."""
    task = Task(
        id=uuid5(WORKSPACE, label.id),
        workspace=WORKSPACE,
        state=State.ANALYZING,
        request=Request(
            text=label.text, inputs=label.inputs, lang=label.lang, requested_by=PERSON, origin=label.origin
        ),
    )
    if label.before is not None:
        task = task.model_copy(
            update={
                "plan": _plan(label.before, task, catalogue),
                "trail": _trail(label.before),
                "failure": label.before.failure,
                "replans": 1,
            }
        )
    return Question(task=task, policy=POLICY)


def _plan(before: Before, task: Task, catalogue: Catalogue) -> Plan:
    verdict = catalogue.assess(before.steps, task.request, POLICY)
    return planned(1, before.steps, "claude", verdict, POLICY)


def _trail(before: Before) -> tuple[Attempt, ...]:
    """What was done, and the attempt that failed for good: it certainly did nothing."""
    ended = [(step, OutcomeKind.DONE, before.done[step]) for step in before.done]
    failed = before.failure.step
    return tuple(
        Attempt(
            step_id=step,
            number=1,
            plan_number=1,
            lease_no=1,
            effect=Effect.IDEMPOTENT,
            idempotency_key="",
            args_sha256="",
            outcome=outcome,
            output=output,
            failure=before.failure if outcome is OutcomeKind.NOT_DONE else None,
        )
        for step, outcome, output in [*ended, *([] if failed is None else [(failed, OutcomeKind.NOT_DONE, None)])]
    )
