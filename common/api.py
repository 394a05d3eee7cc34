"""The public JSON, the only one: what `docs/api.md` promises, as models. A test holds the two to each other.

Requests are strict: unknown fields are refused. Money is a decimal string of dollars, durations are seconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from common.core.task import STEPS_MAX, Json, Lang, Risk, State, StepId

Tag = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$")]
NoteText = Annotated[str, StringConstraints(max_length=2000)]
TEXT_MAX = 20_000
BATCH_MAX = 1000
TIME_MIN = datetime(1900, 1, 1, tzinfo=UTC)
# What is stored is read again, in any zone: PostgreSQL knows the year 10000, Python does not.
TIME_MAX = datetime(9000, 1, 1, tzinfo=UTC)


def _written_out(value: object) -> object:
    # pydantic would take a number for seconds since 1970.
    if not isinstance(value, str | datetime) or (isinstance(value, str) and re.fullmatch(r"[-+\d.\s]*", value)):
        msg = "a time is text: RFC 3339 with a zone"
        raise ValueError(msg)
    return value


def _within_reach(value: datetime) -> datetime:
    if not TIME_MIN <= value < TIME_MAX:
        msg = f"a time is between the years {TIME_MIN.year} and {TIME_MAX.year}"
        raise ValueError(msg)
    return value


Time = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_within_reach)]


class Public(BaseModel):
    """Base of the public models."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# --- requests -------------------------------------------------------------------------------------------------------


class PlanStep(Public):
    """One step, as given."""

    id: StepId
    action: str = Field(min_length=1, max_length=64)
    args: dict[str, Json] = Field(default_factory=dict)


class PlanRequest(Public):
    """A typed plan: steps in order."""

    steps: list[PlanStep] = Field(min_length=1, max_length=STEPS_MAX)


class TaskRequest(Public):
    """A task: `text` in plain language, or a typed `plan`; not both."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=TEXT_MAX, strip_whitespace=True)] | None = None
    plan: PlanRequest | None = None
    inputs: dict[str, Json] = Field(default_factory=dict)
    priority: int | None = Field(default=None, ge=0, le=9, strict=True, description="0-9, 9 first; 5 unless given")
    not_before: Time | None = None
    deadline: Time | None = None
    tags: list[Tag] = Field(default_factory=list, max_length=20)
    lang: Lang | None = None

    @model_validator(mode="after")
    def _text_or_plan(self) -> TaskRequest:
        if (self.text is None) == (self.plan is None):
            msg = "give either `text` or `plan`"
            raise ValueError(msg)
        return self


class WaitQuery(Public):
    """How long an answer may be waited for."""

    wait: float = Field(default=0, ge=0, le=60, description="seconds")


class PageQuery(Public):
    """Paging of a list."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = None


class TaskQuery(PageQuery):
    """Filters of the task list."""

    state: list[State] = Field(default_factory=list)
    risk: Risk | None = None
    kind: str | None = None
    tag: str | None = None
    q: str | None = Field(default=None, max_length=200)
    since: Time | None = None
    until: Time | None = None


class Note(Public):
    """A remark that is kept with what is done."""

    note: NoteText | None = None


class Decision(Public):
    """A verdict over exactly what the digest names."""

    digest: str = Field(max_length=100)
    note: NoteText | None = None


class Resolution(Public):
    """Closing a task by hand."""

    note: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    result: Json = None


class GivenOutcome(Public):
    """What an unknown attempt did, as a person found out."""

    step: StepId
    outcome: Literal["done", "not_done"]
    note: NoteText | None = None


class SettingValue(Public):
    """A setting's new value."""

    value: Json


class PauseRequest(Public):
    """Why everything stops."""

    why: Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]


class NewPerson(Public):
    """A person to add."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
    role: Literal["viewer", "operator", "approver", "admin"]


class NewToken(Public):
    """A token to make. `person` None: the caller's own; `role` at most the person's own."""

    person: UUID | None = None
    role: Literal["viewer", "operator", "approver", "admin"] | None = None
    expires_in: int | None = Field(default=None, ge=60, le=315_360_000, description="seconds; never, unless given")


class NewSignInCode(Public):
    """For whom; None: the caller."""

    person: UUID | None = None


# --- answers --------------------------------------------------------------------------------------------------------


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


def usd(nanodollars: int) -> str:
    """Money as the API writes it: a decimal string of dollars, six places at least where needed, never an exponent."""
    value = Decimal(nanodollars) / 1_000_000_000
    return f"{value:.6f}"
