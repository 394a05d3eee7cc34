"""The shared state of the memory adapters: what the migrations say in SQL, under one lock.

`MemoryStore.now` plays PostgreSQL's clock, so that a test can move it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from threading import RLock
from typing import Final
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

NO_DETAIL: Final = hashlib.sha256(b"").hexdigest()
SORTED: Final = json.JSONEncoder(sort_keys=True)


class Commit:
    """The lock while something is read or written; entered it says the time. A class: there are many in a history."""

    __slots__ = ("_acquire", "_now", "_release")

    def __init__(self, lock: RLock, now: Callable[[], datetime]) -> None:
        """`lock`: of the store; `now`: its clock."""
        self._acquire = lock.acquire
        self._release = lock.release
        self._now = now

    def __enter__(self) -> datetime:
        """Nobody else reads or writes from here on."""
        self._acquire()
        return self._now()

    def __exit__(self, *_: object) -> None:
        """All of it is there now."""
        self._release()


class MemoryStore:
    """One database. Adapters share it; every public method of theirs is one `commit`."""

    def __init__(self, clock_now: Callable[[], datetime]) -> None:
        """`clock_now`: PostgreSQL's clock, an aware time."""
        self._clock_now = clock_now
        self._ids = 0
        self._commit = Commit(RLock(), clock_now)
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

    def commit(self) -> Commit:
        """One commit: nobody else reads or writes within it. Entered, it says its time; one may hold another."""
        return self._commit

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
        moved = (kind, source, row.state)
        row.event_head = _sealed(row.event_head, row.id, row.event_seq, moved, at, actor, detail)
        event = Event(
            task_id=row.id,
            seq=row.event_seq,
            kind=kind,
            from_state=source,
            to_state=row.state,
            at=at,
            actor=actor,
            detail=detail or None,
            hash=row.event_head,
        )
        self.events.setdefault(row.id, []).append(event)
        self.stream.append(event)
        return event


def month_of(now: datetime) -> str:
    """By which money is counted."""
    return f"{now.year}-{now.month:02}"


def event_hash(event: Event, prev: str) -> str:
    """What chains an event to the one before it. The detail goes in by its own hash, so that it may be erased."""
    moved = (event.kind, event.from_state, event.to_state)
    return _sealed(prev, event.task_id, event.seq, moved, event.at, event.actor, event.detail or {})


def _sealed(
    prev: str,
    task: UUID,
    seq: int,
    moved: tuple[str, State | None, State],
    at: datetime,
    actor: str,
    detail: Mapping[str, Json],
) -> str:
    kind, source, target = moved
    detailed = NO_DETAIL
    if detail:
        detailed = hashlib.sha256(SORTED.encode(detail).encode()).hexdigest()
    parts = (prev, task.hex, str(seq), kind, source or "-", target, _iso(at), actor, detailed)
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


@lru_cache(maxsize=64)
def _iso(at: datetime) -> str:
    """Written once: what happens in one commit, and whoever checks it, has the same time."""
    return at.isoformat()
