"""The shared state of the memory adapters: what the migrations say in SQL, under one lock.

`MemoryStore.now` plays PostgreSQL's clock, so that a test can move it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import RLock
from uuid import UUID

from common.adapters.memory.rows import (
    ApprovalRow,
    BatchEntry,
    BudgetEntry,
    CallEntry,
    KeyEntry,
    SettingEntry,
    TaskRow,
    TokenEntry,
)
from common.core.task import Event, Json, Plan, State, uuid7
from common.ports import Role


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
            (None, "policy"): SettingEntry(0, None),
            (None, "pause"): SettingEntry(0, None),
        }
        self.keys: dict[tuple[UUID, UUID, str, str], KeyEntry] = {}
        self.budgets: dict[tuple[UUID | None, str], BudgetEntry] = {}  # None: the installation
        self.calls: dict[UUID, CallEntry] = {}
        self.batches: dict[UUID, BatchEntry] = {}  # by call

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
        self.settings[workspace, "policy"] = SettingEntry(0, None)
        self.settings[workspace, "pause"] = SettingEntry(0, None)
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
