"""The Reads in memory: what pages and lists show."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from common.adapters.memory.rows import TaskRow
from common.adapters.memory.store import MemoryStore
from common.core.task import TERMINAL, Event, Json, OutcomeKind, State
from common.ports import Depth, EventRecord, QueueView, TaskFilter, TaskRecord

PERSON: Final = re.compile(r"(?:person:)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
SETTLED: Final = TERMINAL | {State.AWAITING_APPROVAL, State.MANUAL}


class MemoryReads:
    """See `common.ports.Reads`."""

    def __init__(self, store: MemoryStore) -> None:
        """`store`: shared with the other adapters."""
        self.store = store

    def tasks(self, workspace: UUID, filters: TaskFilter) -> list[TaskRecord]:
        """See Reads."""
        with self.store.commit() as now:
            rows = [r for r in self.store.tasks.values() if r.workspace == workspace and _fits(r, filters)]
            rows.sort(key=lambda r: r.id, reverse=True)
            return [self._record(row, now) for row in rows[: filters.limit + 1]]

    def task(self, workspace: UUID, task: UUID) -> TaskRecord | None:
        """See Reads."""
        with self.store.commit() as now:
            row = self.store.tasks.get(task)
            return self._record(row, now) if row is not None and row.workspace == workspace else None

    def resolve_id(self, workspace: UUID, ending: str) -> list[UUID]:
        """See Reads."""
        with self.store.commit():
            mine = [r.id for r in self.store.tasks.values() if r.workspace == workspace]
            return [task for task in mine if task.hex.endswith(ending.replace("-", "").lower())][:2]

    def events(self, workspace: UUID, task: UUID, after_seq: int = 0) -> list[EventRecord]:
        """See Reads."""
        with self.store.commit():
            row = self.store.tasks.get(task)
            if row is None or row.workspace != workspace:
                return []
            return [self._event(event) for event in self.store.events[task] if event.seq > after_seq]

    def workspace_events(self, workspace: UUID, after: str | None, limit: int) -> list[EventRecord]:
        """See Reads."""
        with self.store.commit():
            mine = [
                self._event(event, position)
                for position, event in enumerate(self.store.stream)
                if self.store.tasks[event.task_id].workspace == workspace
            ]
            if after is None:
                return mine[-1:]
            return [record for record in mine if record.position > after][:limit]

    def settled(self, ids: Sequence[UUID]) -> frozenset[UUID]:
        """See Reads."""
        with self.store.commit():
            return frozenset(t for t in ids if t in self.store.tasks and self.store.tasks[t].state in SETTLED)

    def settled_task(self, workspace: UUID, task: UUID) -> TaskRecord | None:
        """See ports.Reads."""
        return self.task(workspace, task) if self.settled([task]) else None

    def result(self, workspace: UUID, task: UUID, step: str) -> Json | None:
        """See Reads."""
        with self.store.commit():
            row = self.store.tasks.get(task)
            if row is None or row.workspace != workspace:
                return None
            return next((a.output for a in row.trail if a.step_id == step and a.outcome is OutcomeKind.DONE), None)

    def queue(self, workspace: UUID) -> QueueView:
        """See Reads."""
        with self.store.commit() as now:
            live = [r for r in self.store.tasks.values() if r.workspace == workspace and r.state not in TERMINAL]
            lines: dict[tuple[State, int], list[TaskRow]] = {}
            for row in live:
                lines.setdefault((row.state, row.priority), []).append(row)
            depth = tuple(
                Depth(
                    state=state,
                    priority=priority,
                    tasks=len(rows),
                    oldest_seconds=max(0.0, *((now - _waits_since(r)).total_seconds() for r in rows)),
                )
                for (state, priority), rows in sorted(lines.items())
            )
            return QueueView(depth=depth, leases=dict(Counter(r.worker for r in live if r.worker is not None)))

    def counts(self, workspace: UUID) -> dict[State, int]:
        """See Reads."""
        with self.store.commit():
            return dict(
                Counter(
                    r.state for r in self.store.tasks.values() if r.workspace == workspace and r.state not in TERMINAL
                )
            )

    def _record(self, row: TaskRow, now: datetime) -> TaskRecord:
        newest = self.store.events[row.id][-1]
        done = {a.step_id: a.output for a in row.trail if a.outcome is OutcomeKind.DONE}
        last = row.plan.steps[-1].id if row.plan is not None else ""
        detail = newest.detail or {}
        note, by_hand = detail.get("note"), detail.get("data", {}).get("result")
        return TaskRecord(
            task=row.public(now),
            requested_by_name=self.store.people.get(row.request.requested_by, ""),
            created_at=row.created_at,
            finished_at=row.finished_at,
            since=row.since,
            next_check_at=row.next_check_at,
            paused=self.store.paused(row.workspace),
            last_actor=_name_of(newest.actor, self.store),
            last_note=note if isinstance(note, str) else None,
            failure=row.failure,
            result=by_hand if newest.kind == "resolved" else done.get(last),
            has_result=last in done,
            cost_nanodollars=self._cost(row.id),
        )

    def _cost(self, task: UUID) -> int:
        """Its shares of the calls that read it."""
        calls = [c for c in self.store.calls.values() if task in c.task_ids]
        return sum(c.cost // len(c.task_ids) for c in calls)

    def _event(self, event: Event, position: int | None = None) -> EventRecord:
        place = self.store.stream.index(event) if position is None else position
        return EventRecord(event=event, actor_name=_name_of(event.actor, self.store), position=f"{place:012d}")


def _waits_since(row: TaskRow) -> datetime:
    """What may be claimed waits since it was ready; the rest since it is in its state."""
    return (row.next_check_at or row.since) if row.state in {State.RECEIVED, State.QUEUED} else row.since


def _name_of(actor: str, store: MemoryStore) -> str:
    """A person's name; a part of the system is called as it is."""
    match = PERSON.fullmatch(actor)
    return store.people.get(UUID(match[1]), actor) if match else actor


def _fits(row: TaskRow, filters: TaskFilter) -> bool:
    text = (row.request.text or "").lower()
    return all(
        (
            not filters.states or row.state in filters.states,
            filters.risk is None or (row.plan is not None and row.plan.risk is filters.risk),
            filters.kind is None or row.kind == filters.kind,
            filters.tag is None or filters.tag in row.request.tags,
            filters.q is None or filters.q.lower() in text,
            filters.since is None or row.created_at >= filters.since,
            filters.until is None or row.created_at < filters.until,
            filters.before is None or row.id < filters.before,
        )
    )
