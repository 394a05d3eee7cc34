"""Everything that is only looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from common.core.task import Event, Failure, Json, Risk, State, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """A task with all that its page shows. Nothing is masked here; common/views.py masks by role."""

    task: Task
    requested_by_name: str
    created_at: datetime
    finished_at: datetime | None
    since: datetime  # when it entered its present state
    next_check_at: datetime | None
    paused: bool
    last_actor: str  # of the newest event: a person's name, or the function that acted
    last_note: str | None
    failure: Failure | None  # the newest
    result: Json = None  # the last step's output, when done
    has_result: bool = False
    cost_nanodollars: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """What a list is narrowed to; `before` is the cursor: ids older than this."""

    states: tuple[State, ...] = ()
    risk: Risk | None = None
    kind: str | None = None
    tag: str | None = None
    q: str | None = None  # in the text, case-insensitive
    since: datetime | None = None
    until: datetime | None = None
    before: UUID | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """An event with its actor's name, and its place in the workspace's stream."""

    event: Event
    actor_name: str
    position: str  # opaque, ordered; what Last-Event-ID carries


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """One line of the queue's depth."""

    state: State
    priority: int
    tasks: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """Depth by state and priority, age of the oldest due, live leases by worker."""

    depth: tuple[Depth, ...]
    leases: dict[str, int] = field(default_factory=dict)


class Reads(Protocol):
    """Everything that is only looked at. Every read takes the workspace; another's object is absent."""

    def tasks(self, workspace: UUID, filters: TaskFilter) -> list[TaskRecord]:
        """Newest first, at most `limit` + 1 (one more tells that there is a next page)."""

    def task(self, workspace: UUID, task: UUID) -> TaskRecord | None:
        """One task; None if it is not this workspace's."""

    def resolve_id(self, workspace: UUID, ending: str) -> list[UUID]:
        """The ids (two at most) that end with these hex digits."""

    def events(self, workspace: UUID, task: UUID, after_seq: int = 0) -> list[EventRecord]:
        """A task's history, oldest first."""

    def workspace_events(self, workspace: UUID, after: str | None, limit: int) -> list[EventRecord]:
        """The workspace's events after a position, up to the oldest running transaction, so that none is ever skipped.

        `after` None: the newest position only (an empty list, or its last event).
        """

    def settled(self, ids: Sequence[UUID]) -> frozenset[UUID]:
        """Those that are terminal, awaiting approval or manual: what a `?wait=` waits for."""

    def settled_task(self, workspace: UUID, task: UUID) -> TaskRecord | None:
        """The task, if it is settled: both looks at once for a request that waits alone."""

    def result(self, workspace: UUID, task: UUID, step: str) -> Json | None:
        """A done step's output; None if there is none."""

    def queue(self, workspace: UUID) -> QueueView:
        """The queue's depth."""

    def counts(self, workspace: UUID) -> dict[State, int]:
        """Tasks by live state (terminal ones are not counted)."""
