"""Approvals, people's decisions, and whom to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, Protocol
from uuid import UUID

from common.core.lifecycle import Transition
from common.core.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A person's verdict over a digest that the person saw."""

    person: UUID
    verdict: Literal["approved", "rejected"]
    digest: str
    note: str | None = None
    token_sha256: str | None = None  # with which it was made


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision as stored."""

    person: UUID
    person_name: str
    verdict: str
    note: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """An open approval: what waits, or what was approved and is not yet spent."""

    id: UUID
    task_id: UUID
    plan_number: int
    digest: str
    requested_by: UUID
    requested_by_name: str
    required: int
    expires_at: datetime
    valid_until: datetime | None  # set by the last required decision
    decisions: tuple[Decided, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A task that waits for a person and of which nobody has been told since."""

    task: Task
    requested_by_name: str
    approval: Approval | None


class Verdict(StrEnum):
    """How a decision ended."""

    APPLIED = "applied"
    STALE = "stale"  # the task or its digest is another by now
    EXPIRED = "expired"
    ALREADY = "already"  # this person has decided this approval
    SELF = "self"  # the requester may not
    ISSUED = "issued"  # nor with an API token that the requester issued to another


class Approvals(Protocol):
    """Approvals, decisions and announcements."""

    def open(self, workspace: UUID, task: UUID) -> Approval | None:
        """The task's open approval, decided or not."""

    def valid(self, workspace: UUID, task: UUID, digest: str) -> bool:
        """Whether the open approval has this digest, its required decisions, and time left."""

    def decide(self, decision: Decision, then: Transition, *, self_allowed: bool) -> Verdict:
        """Store the decision and apply `then` (approved or rejected) in one commit, or neither."""

    def unannounced(self, limit: int) -> list[Notice]:
        """Tasks in awaiting_approval or manual whose newest event nobody has been told of.

        Not always the same ones: those that a channel never takes must not silence all others.
        """

    def announced(self, told: Sequence[tuple[UUID, int]]) -> None:
        """Remember (task, event_seq) as told."""

    def remind(self, tasks: Sequence[UUID], again: timedelta) -> None:
        """Of tasks in `manual` that are due: announce once more, look again after `again`. No event."""
