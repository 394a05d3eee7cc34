"""What is asked: bodies and queries."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints, model_validator

from common.api.public import Public
from common.core.model_faults import ONE_LINE
from common.core.task import STEPS_MAX, Json, Lang, Risk, State, StepId

Tag = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=ONE_LINE)]
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
    economy: bool = Field(default=False, strict=True, description="its reading may take hours, at half the price")

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

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True, pattern=ONE_LINE)]
    role: Literal["viewer", "operator", "approver", "admin"]


class NewToken(Public):
    """A token to make. `person` None: the caller's own; `role` at most the person's own."""

    person: UUID | None = None
    role: Literal["viewer", "operator", "approver", "admin"] | None = None
    expires_in: int | None = Field(default=None, ge=60, le=315_360_000, description="seconds; never, unless given")


class NewSignInCode(Public):
    """For whom; None: the caller."""

    person: UUID | None = None
