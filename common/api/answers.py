"""What is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from common.api.public import Public
from common.api.requests import PlanStep
from common.core.task import Json, Risk, State


class WaitingFor(Public):
    """What a task waits for, since when, when it is looked at again, who can help, and by which command."""

    what: Literal["analysis", "worker", "delay", "backoff", "approval", "person", "paused", "budget", "provider"]
    since: datetime
    look_again_at: datetime | None
    who: str | None
    command: str | None


class ReasonView(Public):
    """Why it is how risky."""

    rule: str
    step: str | None
    floor: Risk
    text: str


class PlanView(Public):
    """The present plan. Of a viewer's, argument values are masked."""

    number: int
    steps: list[PlanStep]
    source: str


class ErrorView(Public):
    """What went wrong last."""

    code: str
    step: str | None
    status: int | None
    detail: str | None


class OutcomeView(Public):
    """How it ended: the note and who ended it."""

    note: str | None
    actor: str


class Task(Public):
    """A task. For a viewer `inputs` and `result` are null."""

    id: UUID
    state: State
    waiting_for: WaitingFor | None
    text: str | None
    inputs: dict[str, Json] | None
    kind: str | None
    risk: Risk | None
    reasons: list[ReasonView]
    priority: int
    plan: PlanView | None
    attempts: int
    result: Json
    error: ErrorView | None
    outcome: OutcomeView | None
    cost_usd: str
    requested_by: str
    created_at: datetime
    finished_at: datetime | None
    tags: list[str]


class TaskList(Public):
    """A page of tasks. Of a submitted array: `next` is null."""

    items: list[Task]
    next: str | None = None


class Event(Public):
    """A history row."""

    task_id: UUID
    seq: int
    kind: str
    from_state: State | None
    to_state: State
    at: datetime
    actor: str
    text: str
    detail: dict[str, Json] | None


class EventList(Public):
    """A task's history, oldest first."""

    items: list[Event]
    next: str | None = None


class Preview(Public):
    """What would be done."""

    kind: str | None
    risk: Risk | None
    reasons: list[ReasonView]
    plan: PlanView | None
    summary: list[str]
    next_state: State
    estimate_usd: str


class DecisionView(Public):
    """A decision so far."""

    person: str
    verdict: str
    note: str | None
    at: datetime


class Approval(Public):
    """What waits for approval."""

    task_id: UUID
    digest: str
    plan: PlanView
    summary: list[str]
    risk: Risk
    reasons: list[ReasonView]
    worst_cost_usd: str
    requested_by: str
    expires_at: datetime
    required: int
    decisions: list[DecisionView]
    may_decide: bool


class ActionView(Public):
    """An action of the catalogue."""

    name: str
    sentence: str
    effect: str
    floor: str
    schema_: dict[str, Json] = Field(serialization_alias="schema")


class ActionList(Public):
    """The catalogue."""

    items: list[ActionView]
    next: str | None = None


class Setting(Public):
    """A setting."""

    name: str
    version: int
    value: Json
    inherited: bool


class SettingList(Public):
    """Every setting."""

    items: list[Setting]
    next: str | None = None


class PauseView(Public):
    """Whether execution is stopped."""

    paused: bool
    why: str | None


class Person(Public):
    """A member."""

    id: UUID
    name: str
    role: str


class PersonList(Public):
    """Members."""

    items: list[Person]
    next: str | None = None


class Token(Public):
    """A token, never its secret."""

    id: str
    kind: str
    person: str
    role: str
    expires_at: datetime | None
    created_at: datetime


class TokenList(Public):
    """Tokens."""

    items: list[Token]
    next: str | None = None


class TokenWithSecret(Token):
    """A new token; the secret is shown this once."""

    secret: str


class SignInCode(Public):
    """A sign-in code and where to use it."""

    code: str
    url: str
    expires_in: int


class QueueLine(Public):
    """Depth of one state and priority."""

    state: State
    priority: int
    tasks: int
    oldest_seconds: float


class Queue(Public):
    """The queue now."""

    depth: list[QueueLine]
    leases: dict[str, int]
    paused: bool


class ProblemError(Public):
    """One fault of the content."""

    pointer: str
    detail: str
    hint: str = ""


class Problem(BaseModel):
    """RFC 9457 problem details; further members by type."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemError] | None = None
    state: State | None = None
    digest: str | None = None


class WakeAnswer(Public):
    """What a woken function did. `wake_in_ms`: when it next has something to do, if that is known."""

    claimed: int
    done: int
    more: bool
    wake_in_ms: int | None
