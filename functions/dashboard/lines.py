"""What lists and a task's page show of tasks: a reader sees what their role may see, by the name that says most."""

from __future__ import annotations

from dataclasses import dataclass

from common import api
from common.auth import reaches
from common.core.task import Lang, OutcomeKind, State, Step, Task
from common.ports import TaskRecord
from common.views import task_view
from common.web import Wired

from .session import Reader


@dataclass(frozen=True, slots=True)
class Line:
    """A task in a list."""

    task: api.Task
    title: str


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step of the plan, and how far it is. `sentence` None: not for this reader."""

    id: str
    action: str
    sentence: str | None
    status: str  # done, unknown, failed, running, next
    attempts: int
    has_result: bool


def title_of(task: Task, reader: Reader, wired: Wired, lang: Lang) -> str:
    """What a task is called: its text, else what its plan does first."""
    if task.request.text:
        return task.request.text
    if task.plan is None:
        return task.id.hex[-8:]
    # What makes it risky says more than what comes first.
    riskiest = next((reason.step for reason in task.plan.reasons if reason.step), None)
    step = next((s for s in task.plan.steps if s.id == riskiest), task.plan.steps[0])
    return wired.catalogue.sentence(step, lang) if reaches(reader.who.role, "operator") else step.action


def lines_of(records: list[TaskRecord], reader: Reader, wired: Wired, lang: Lang) -> list[Line]:
    """Tasks as a list shows them."""
    return [Line(task_view(r, reader.who.role, lang), title_of(r.task, reader, wired, lang)) for r in records]


def steps_of(task: Task, reader: Reader, wired: Wired, lang: Lang) -> list[StepLine]:
    """The plan's steps."""
    full = reaches(reader.who.role, "operator")
    return [
        StepLine(
            step.id,
            step.action,
            wired.catalogue.sentence(step, lang) if full else None,
            _status(task, step),
            len(task.attempts_of(step.id)),
            step.id in task.done and full,
        )
        for step in (task.plan.steps if task.plan else ())
    ]


def _status(task: Task, step: Step) -> str:
    if step.id in task.done:
        return "done"
    tries = task.attempts_of(step.id)
    if tries and tries[-1].outcome is OutcomeKind.UNKNOWN:
        return "unknown"
    if tries and tries[-1].outcome is None:
        return "running"
    return "failed" if tries else "next"


def waiting(counts: dict[State, int]) -> int:
    """How many tasks wait for a person."""
    return counts.get(State.AWAITING_APPROVAL, 0) + counts.get(State.MANUAL, 0)
