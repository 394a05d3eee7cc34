"""What a task is: its states, its request, its plans and the attempts of its steps. Values only."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SkipValidation, StringConstraints

# Bodies and rows were parsed as JSON, so it is JSON: pydantic would call a Python function for each value in it.
Json = Annotated[JsonValue, SkipValidation]
Lang = Literal["ko", "en"]
STEP_ID: Final = r"^[a-z][a-z0-9_]{0,31}$"
StepId = Annotated[str, StringConstraints(pattern=STEP_ID)]

STEPS_MAX: Final = 50
NOTHING: Final = frozenset[str]()
PRIORITY_DEFAULT: Final = 5


class Frozen(BaseModel):
    """Base of every value that crosses an edge: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class State(StrEnum):
    """Each member says how it is left; a test holds the words to the lifecycle table."""

    # `analyze` claims it: ANALYZING; a plan is decided at once: QUEUED, AWAITING_APPROVAL; fails: MANUAL
    RECEIVED = "received"
    # a plan is decided: QUEUED, AWAITING_APPROVAL; deferred, released, lost: RECEIVED; failed, lost: MANUAL;
    # parked on a provider's batch (`batched`) it stays, without a lease
    ANALYZING = "analyzing"
    AWAITING_APPROVAL = (
        "awaiting_approval"  # a person approves, or policy changes: QUEUED; rejects: CANCELLED; it expires: MANUAL
    )
    QUEUED = "queued"  # a worker claims it, once `next_check_at` has passed: RUNNING
    # last step done: SUCCEEDED; later, lost: QUEUED; replanned: RECEIVED; gate: AWAITING_APPROVAL; else MANUAL
    RUNNING = "running"
    # a person retries: QUEUED, AWAITING_APPROVAL; reanalyzes: RECEIVED; resolves: SUCCEEDED; never by itself
    MANUAL = "manual"
    SUCCEEDED = "succeeded"  # terminal
    CANCELLED = "cancelled"  # terminal


TERMINAL: Final = frozenset({State.SUCCEEDED, State.CANCELLED})
LEASED: Final = frozenset({State.ANALYZING, State.RUNNING})


class Risk(StrEnum):
    """Ordered: LOW < MEDIUM < HIGH < CRITICAL; compare by `rank`."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for LOW to 3 for CRITICAL."""
        return RANKS[self]


RISKS: Final = (Risk.LOW, Risk.MEDIUM, Risk.HIGH, Risk.CRITICAL)
RANKS: Final = {risk: rank for rank, risk in enumerate(RISKS)}


def highest(*risks: Risk) -> Risk:
    """The highest of some risks; LOW of none."""
    return max(risks, key=RANKS.__getitem__, default=Risk.LOW)


class Origin(StrEnum):
    """Where a request came from; text that came from results is trusted least."""

    PERSON = "person"
    TOKEN = "token"  # noqa: S105 - an origin's name, not a secret
    DERIVED = "derived"


class Effect(StrEnum):
    """What repeating an action would do; set by action and settings, never by a plan."""

    NONE = "none"  # nothing leaves the installation: no begin record is needed
    IDEMPOTENT = "idempotent"  # may be sent again under the same key
    NON_IDEMPOTENT = "non_idempotent"  # must never be repeated blindly (I6)


class PlanSource(StrEnum):
    """Whom a plan comes from."""

    TYPED = "typed"  # the requester wrote it
    RULES = "rules"
    CLAUDE = "claude"
    MODEL = "model"  # of another provider
    CACHED = "cached"  # it was answered before
    RESOLVED = "resolved"  # values of earlier steps filled in for an approver


class Request(Frozen):
    """What was asked, as it was asked; never changed after intake."""

    text: str | None = None
    inputs: dict[str, Json] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    not_before: datetime | None = None
    deadline: datetime | None = None
    lang: Lang = "en"
    requested_by: UUID
    origin: Origin = Origin.PERSON
    priority_given: bool = False  # the model's priority counts only where the requester gave none


class Step(Frozen):
    """One step of a plan; `args` may hold `$ref`s to earlier steps in data fields."""

    id: StepId
    action: str
    args: dict[str, Json] = Field(default_factory=dict)


class Reason(Frozen):
    """Why a plan is as risky as it is: a rule by id, the step it speaks of, and the floor it sets."""

    rule: str
    step: str | None = None
    floor: Risk
    values: dict[str, str] = Field(default_factory=dict)  # for the sentence in the reader's language
    asks: bool = False  # wants a person even where the floor alone would not


class Plan(Frozen):
    """A plan as stored: immutable, numbered from 1 within its task."""

    number: int = Field(ge=1)
    steps: tuple[Step, ...]
    source: str  # a PlanSource, or what a provider of an installation's own calls itself
    risk_floor: Risk
    risk: Risk
    reasons: tuple[Reason, ...] = ()
    needs_approval: bool
    kept_steps: int = 0  # this many steps in front were begun under an earlier plan and stay as they are (I6)
    cost_cap: int | None = None  # nanodollars that executing it may cost
    policy_version: int


class OutcomeKind(StrEnum):
    """How an attempt ended; None in its row means: not yet recorded."""

    DONE = "done"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


class Failure(Frozen):
    """What went wrong: `code` is public and has a text in the catalogue; `detail` never holds a secret (I11)."""

    code: str
    step: str | None = None
    status: int | None = None  # HTTP status of the far side, where there was one
    detail: str | None = None


EFFECT_UNKNOWN: Final = "effect_unknown"  # the failure that only a person's word ends


class Attempt(Frozen):
    """One attempt of one step: begin, end and result in one row."""

    step_id: str
    number: int
    plan_number: int
    lease_no: int
    effect: Effect
    idempotency_key: str
    args_sha256: str
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: OutcomeKind | None = None
    output: Json = None
    failure: Failure | None = None
    decided_by: str | None = None

    @property
    def unsettled(self) -> bool:
        """Whether it may have had its effect and nobody knows (I6): open, or recorded as unknown."""
        return self.outcome is None or self.outcome is OutcomeKind.UNKNOWN


class Task(Frozen):
    """A task row with its present plan and the attempts that matter, as a claim hands it out.

    Durations (`deadline_in`, `wait_over`) are PostgreSQL's, taken when the row was read: code never compares clocks.
    """

    id: UUID
    workspace: UUID
    state: State
    request: Request
    kind: str | None = None
    priority: int = PRIORITY_DEFAULT
    attempts: int = 0
    replans: int = 0
    lease_no: int = 0
    event_seq: int = 1
    plan: Plan | None = None
    trail: tuple[Attempt, ...] = ()  # every attempt of every plan, oldest first; outputs of done ones included
    waiting_for: str | None = None  # a WaitingFor code, where the state alone does not say it
    wait_over: bool | None = None  # a `wait` step's time: None if none was set, else whether it has passed
    deadline_in: timedelta | None = None
    read_at: datetime | None = None  # PostgreSQL's clock when the row was read; a wait `until` is measured from it
    cancel_requested: bool = False
    economy: bool = False  # its analysis may take hours, at half the price
    batch: UUID | None = None  # the call on which it is parked while `analyzing`, without a lease
    failure: Failure | None = None  # the newest, from its history; what a replan is told

    def attempts_of(self, step_id: str) -> tuple[Attempt, ...]:
        """The attempts of one step, oldest first."""
        return tuple(a for a in self.trail if a.step_id == step_id)

    @property
    def done(self) -> dict[str, Json]:
        """Outputs by step id, of every step that is done."""
        return {a.step_id: a.output for a in self.trail if a.outcome is OutcomeKind.DONE}

    def after(self, step_id: str, output: Json) -> Task:
        """This task with one more step done, as the worker carries it on under the same lease."""
        number = len(self.attempts_of(step_id)) + 1
        done = Attempt(
            step_id=step_id,
            number=number,
            plan_number=self.plan.number if self.plan else 0,
            lease_no=self.lease_no,
            effect=Effect.NONE,
            idempotency_key="",
            args_sha256="",
            outcome=OutcomeKind.DONE,
            output=output,
        )
        return self.model_copy(update={"trail": (*self.trail, done), "wait_over": None})

    @property
    def next_step(self) -> Step | None:
        """The first step of the plan that is not done; None if there is no plan or nothing is left."""
        if self.plan is None:
            return None
        done = {a.step_id for a in self.trail if a.outcome is OutcomeKind.DONE} if self.trail else NOTHING
        for step in self.plan.steps:
            if step.id not in done:
                return step
        return None

    @property
    def unknown_effect(self) -> Attempt | None:
        """An attempt that is open or unknown and may not be repeated: a person must say what it did (I6).

        One that could be repeated when it began is among them once the gate refused its repetition, since the settings
        allow it no longer.
        """
        doubted = self.failure.step if self.failure is not None and self.failure.code == EFFECT_UNKNOWN else None
        return next(
            (
                a
                for a in self.trail
                if a.unsettled and (a.effect is Effect.NON_IDEMPOTENT or (a.step_id == doubted and self._open(a)))
            ),
            None,
        )

    def _open(self, attempt: Attempt) -> bool:
        """Whether no person has spoken of its step since: what they say of the newest is meant of them all."""
        later = (a for a in self.attempts_of(attempt.step_id) if a.number >= attempt.number)
        return all(a.decided_by is None for a in later)


class Event(Frozen):
    """A history row: written by a transition in the same commit, chained by the database (I2)."""

    task_id: UUID
    seq: int
    kind: str
    from_state: State | None
    to_state: State
    at: datetime
    actor: str
    detail: dict[str, Any] | None = None  # opaque here: the public form is common/api's
    hash: str = ""


def uuid7(unix_ms: int, entropy: bytes) -> UUID:
    """A UUIDv7 (RFC 9562 section 5.7) of a time in milliseconds and at least 10 random bytes."""
    value = (unix_ms & 0xFFFFFFFFFFFF) << 80 | int.from_bytes(entropy[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)
