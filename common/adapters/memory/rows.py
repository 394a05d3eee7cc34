"""Rows of the memory adapters' tables; names as in the first migration. Mutable, and they never leave this package."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from common.core.spending import Standing
from common.core.task import Attempt, Effect, Failure, Json, OutcomeKind, Plan, Request, State, Task
from common.ports import Asked, Bill, Decided, Role

TokenKind = Literal["api", "session", "sign_in_code"]
PRIORITY_SPAN: Final = timedelta(seconds=60)


@dataclass(slots=True)
class AttemptRow:
    """A row of `step_attempts`; `public` is how a claim hands it out."""

    step_id: str
    number: int
    plan_number: int
    lease_no: int
    effect: Effect
    idempotency_key: str
    args_sha256: str
    begun_at: datetime
    must_end_by: datetime
    needed_approval: bool = False
    approval_id: UUID | None = None
    ended_at: datetime | None = None
    outcome: OutcomeKind | None = None
    output: Json = None
    failure: Failure | None = None
    reported_late: bool = False
    decided_by: str | None = None

    @property
    def claims_the_step(self) -> bool:
        """Whether no other attempt of its step may begin (I6): open, done, or unknown and not to be repeated."""
        if self.outcome is OutcomeKind.UNKNOWN:
            return self.effect is Effect.NON_IDEMPOTENT
        return self.outcome is not OutcomeKind.NOT_DONE

    def public(self) -> Attempt:
        """As the core sees it."""
        return Attempt(
            step_id=self.step_id,
            number=self.number,
            plan_number=self.plan_number,
            lease_no=self.lease_no,
            effect=self.effect,
            idempotency_key=self.idempotency_key,
            args_sha256=self.args_sha256,
            begun_at=self.begun_at,
            ended_at=self.ended_at,
            outcome=self.outcome,
            output=self.output,
            failure=self.failure,
            decided_by=self.decided_by,
        )


@dataclass(slots=True)
class TaskRow:
    """A row of `tasks`, with its attempts beside it."""

    id: UUID
    workspace: UUID
    request: Request
    state: State
    created_at: datetime
    since: datetime
    next_check_at: datetime | None
    priority: int
    kind: str | None = None
    economy: bool = False
    batch: UUID | None = None
    plan: Plan | None = None
    attempts: int = 0
    replans: int = 0
    announced_seq: int = 0
    lease_no: int = 0
    worker: str | None = None
    waiting_for: str | None = None
    wait_until: datetime | None = None
    cancel_requested_at: datetime | None = None
    cancel_requested_by: str | None = None
    cancel_note: str | None = None
    failure: Failure | None = None
    event_seq: int = 0
    event_head: str = ""
    finished_at: datetime | None = None
    trail: list[AttemptRow] = field(default_factory=list)

    @property
    def claim_order(self) -> datetime:
        """When it became ready, minus a span per priority, so that nothing starves."""
        return (self.next_check_at or self.created_at) - self.priority * PRIORITY_SPAN

    def public(self, now: datetime) -> Task:
        """As the core sees it; durations are taken at `now`."""
        deadline = self.request.deadline
        return Task(
            id=self.id,
            workspace=self.workspace,
            state=self.state,
            request=self.request,
            kind=self.kind,
            priority=self.priority,
            attempts=self.attempts,
            replans=self.replans,
            lease_no=self.lease_no,
            event_seq=self.event_seq,
            plan=self.plan,
            trail=tuple([a.public() for a in self.trail]) if self.trail else (),
            waiting_for=self.waiting_for,
            wait_over=None if self.wait_until is None else self.wait_until <= now,
            deadline_in=None if deadline is None else deadline - now,
            read_at=now,
            cancel_requested=self.cancel_requested_at is not None,
            economy=self.economy,
            batch=self.batch,
            failure=self.failure,
        )


@dataclass(slots=True)
class ApprovalRow:
    """A row of `approvals` with its decisions."""

    id: UUID
    task_id: UUID
    plan_number: int
    digest: str
    requested_by: UUID
    required: int
    expires_at: datetime
    valid_until: datetime | None = None
    closed_at: datetime | None = None
    decisions: list[Decided] = field(default_factory=list)

    def is_valid(self, digest: str | None, now: datetime) -> bool:
        """Whether an effect may begin under it (I4): open, this digest, decided often enough, time left."""
        approved = sum(d.verdict == "approved" for d in self.decisions)
        in_time = self.valid_until is not None and self.valid_until > now
        return self.closed_at is None and self.digest == digest and approved >= self.required and in_time


@dataclass(slots=True)
class TokenEntry:
    """A row of `tokens`."""

    sha256: str
    kind: TokenKind
    person: UUID
    workspace: UUID
    role: Role
    expires_at: datetime | None
    created_at: datetime
    revoked_at: datetime | None = None
    issued_by: UUID | None = None

    def valid(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(slots=True)
class SettingEntry:
    """A row of `settings`. Value None: the row is there to be locked and counted, its value is inherited."""

    version: int
    value: Json


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A row of `idempotency_keys`."""

    body_sha256: str
    ids: tuple[UUID, ...]
    created_at: datetime


@dataclass(slots=True)
class BudgetEntry:
    """A row of `budgets`."""

    cap: int
    reserved: int = 0
    spent: int = 0
    announced: Standing | None = None


@dataclass(slots=True)
class CallEntry:
    """A row of `calls`."""

    id: UUID
    workspace: UUID
    purpose: str
    month: str
    task_ids: tuple[UUID, ...]
    reserved: int
    deadline: datetime
    model: str
    prompt_version: str
    reason: str
    tasks: int
    created_at: datetime
    state: Literal["reserved", "settled", "voided", "assumed_billed"] = "reserved"
    cost: int = 0
    bill: Bill | None = None  # of an answered one
    request_id: str | None = None
    disagreements: int = 0

    @property
    def held(self) -> int:
        """What it takes from the month: its worst case until its cost is known."""
        return self.reserved if self.state == "reserved" else self.cost


@dataclass(slots=True)
class BatchEntry:
    """Those columns of `calls` that only a provider's batch has."""

    key: str
    asked: tuple[Asked, ...]
    of: UUID
    poll_at: datetime
    provider_id: str | None = None
    certain: bool = False
    answered: bool = False
    not_ours: tuple[str, ...] = ()
    checked: bool = False
