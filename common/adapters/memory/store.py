"""The shared state of the memory adapters: what the migrations say in SQL, as Python rows under one lock.

`MemoryStore.clock` plays PostgreSQL's clock, so that a test can move it. Rows are mutable and never leave this package.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock
from typing import Final, Literal
from uuid import UUID

from common.core.task import (
    Attempt,
    Effect,
    Event,
    Failure,
    Json,
    OutcomeKind,
    Plan,
    Request,
    State,
    Task,
    uuid7,
)
from common.ports import Decided, Role, Usage

TokenKind = Literal["api", "session", "sign_in_code"]
GRACE: Final = timedelta(seconds=5)  # an attempt's end may be this late before anybody else may speak for it
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
    plan: Plan | None = None
    attempts: int = 0
    replans: int = 0
    announced_seq: int = 0
    lease_no: int = 0
    worker: str | None = None
    waiting_for: str | None = None
    wait_until: datetime | None = None
    cancel_requested_at: datetime | None = None
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

    def in_flight(self, now: datetime) -> bool:
        """Whether an open attempt may still be ended by the one that began it."""
        return any(a.outcome is None and a.must_end_by + GRACE > now for a in self.trail)

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
            trail=tuple(a.public() for a in self.trail),
            waiting_for=self.waiting_for,
            wait_over=None if self.wait_until is None else self.wait_until <= now,
            deadline_in=None if deadline is None else deadline - now,
            cancel_requested=self.cancel_requested_at is not None,
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

    def valid(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(slots=True)
class SettingEntry:
    """A row of `settings`."""

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


@dataclass(slots=True)
class CallEntry:
    """A row of `calls`."""

    id: UUID
    workspace: UUID
    month: str
    task_ids: tuple[UUID, ...]
    reserved: int
    deadline: datetime
    state: Literal["reserved", "settled", "voided", "assumed_billed"] = "reserved"
    cost: int = 0
    usage: Usage = field(default_factory=Usage)


class MemoryStore:
    """One database. Adapters share it; every public method of theirs is one commit under `lock`."""

    def __init__(self, clock_now: Callable[[], datetime]) -> None:
        """`clock_now`: PostgreSQL's clock, an aware time."""
        self._clock_now = clock_now
        self._ids = 0
        self.lock = RLock()
        self.tasks: dict[UUID, TaskRow] = {}
        self.events: dict[UUID, list[Event]] = {}
        self.stream: list[Event] = []  # of every workspace, in the order of commit
        self.plans: dict[tuple[UUID, int], Plan] = {}
        self.approvals: dict[UUID, list[ApprovalRow]] = {}
        self.workspaces: dict[UUID, str] = {}
        self.people: dict[UUID, str] = {}
        self.memberships: dict[tuple[UUID, UUID], Role] = {}  # (person, workspace)
        self.tokens: dict[str, TokenEntry] = {}
        self.settings: dict[tuple[UUID | None, str], SettingEntry] = {
            (None, "policy"): SettingEntry(1, {}),
            (None, "pause"): SettingEntry(1, None),
        }
        self.keys: dict[tuple[UUID, UUID, str, str], KeyEntry] = {}
        self.budgets: dict[tuple[UUID, str], BudgetEntry] = {}
        self.calls: dict[UUID, CallEntry] = {}

    @property
    def now(self) -> datetime:
        """PostgreSQL's clock."""
        return self._clock_now()

    @contextmanager
    def commit(self) -> Iterator[datetime]:
        """One commit: nobody else reads or writes within it. Yields its time."""
        with self.lock:
            yield self._clock_now()

    def new_id(self) -> UUID:
        """A UUIDv7, the same in every run: time of the clock and a counter."""
        self._ids += 1
        return uuid7(int(self.now.timestamp() * 1000), self._ids.to_bytes(10, "big"))

    def add_workspace(self, name: str) -> UUID:
        """A workspace with the two rows that the gate locks."""
        workspace = self.new_id()
        self.workspaces[workspace] = name
        self.settings[workspace, "policy"] = SettingEntry(1, {})
        self.settings[workspace, "pause"] = SettingEntry(1, None)
        return workspace

    def paused(self, workspace: UUID) -> bool:
        """Whether the workspace or the whole installation is paused."""
        return self.settings[workspace, "pause"].value is not None or self.settings[None, "pause"].value is not None

    def policy_version(self, workspace: UUID) -> int:
        """Rises with every change of what an assessment depends on, here or in the installation."""
        return self.settings[workspace, "policy"].version + self.settings[None, "policy"].version

    def open_approval(self, task: UUID) -> ApprovalRow | None:
        """The one open approval of a task."""
        return next((a for a in reversed(self.approvals.get(task, ())) if a.closed_at is None), None)

    def write_event(
        self, row: TaskRow, kind: str, source: State | None, at: datetime, actor: str, detail: dict[str, Json]
    ) -> Event:
        """Append to the task's hash chain (I2); the row's head and sequence follow."""
        row.event_seq += 1
        unsealed = Event(
            task_id=row.id,
            seq=row.event_seq,
            kind=kind,
            from_state=source,
            to_state=row.state,
            at=at,
            actor=actor,
            detail=detail or None,
        )
        event = unsealed.model_copy(update={"hash": event_hash(unsealed, row.event_head)})
        row.event_head = event.hash
        self.events.setdefault(row.id, []).append(event)
        self.stream.append(event)
        return event


def event_hash(event: Event, prev: str) -> str:
    """What chains an event to the one before it. The detail goes in by its own hash, so that it may be erased."""
    detail = "" if event.detail is None else json.dumps(event.detail, sort_keys=True, ensure_ascii=True)
    parts = (
        prev,
        event.task_id.hex,
        str(event.seq),
        event.kind,
        event.from_state or "-",
        event.to_state,
        event.at.isoformat(),
        event.actor,
        hashlib.sha256(detail.encode()).hexdigest(),
    )
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
