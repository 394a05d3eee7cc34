"""The Queue in memory: intake, leases and looking; the gate and the transitions are beside it.

What memory and PostgreSQL must agree on is proved by tests/contract. Each small method is one condition of a statement,
so that the simulator can break them one by one and must notice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from common.adapters.memory.apply import MemoryApply
from common.adapters.memory.gate import MemoryGate
from common.adapters.memory.pack_claim import due_texts, lingers_until, packs_of
from common.adapters.memory.rows import KeyEntry, TaskRow
from common.core.lifecycle import NextStep, Transition
from common.core.task import LEASED, State, Task
from common.ports import APART, KEYS_KEPT, MAY_SUBMIT, Added, AddRefused, Claim, Forming, NewTask, Submission

CLAIMED: Final = {State.RECEIVED: (State.ANALYZING, "analysis_started"), State.QUEUED: (State.RUNNING, "started")}
LOOKED_AT: Final = frozenset({State.ANALYZING, State.RUNNING, State.AWAITING_APPROVAL, State.MANUAL})


class MemoryQueue(MemoryGate, MemoryApply):
    """See `common.ports.Queue`."""

    # --- intake -------------------------------------------------------------------------------------------------

    def add(self, batch: Sequence[Submission]) -> list[Added | AddRefused]:
        """See Queue."""
        with self.store.commit() as now:
            return [self._add_one(submission, now) for submission in batch]

    def _add_one(self, submission: Submission, now: datetime) -> Added | AddRefused:
        token = self.store.tokens.get(submission.token_sha256)
        if token is None or not token.valid(now) or token.kind == "sign_in_code" or token.role not in MAY_SUBMIT:
            return AddRefused.TOKEN
        ids = tuple(task.id for task in submission.tasks)
        if submission.key is not None:
            known = self._known(submission, now)
            if known is not None:
                return known
            name = (token.workspace, token.person, submission.route, submission.key)
            self.store.keys[name] = KeyEntry(submission.body_sha256, ids, now)
        first = now - APART * (len(ids) - 1)
        for place, task in enumerate(submission.tasks):
            self._insert(task, first + APART * place)
        return Added(ids, at=first)

    def known(self, submission: Submission) -> Added | AddRefused | None:
        """See Queue."""
        with self.store.commit() as now:
            return self._known(submission, now)

    def _known(self, submission: Submission, now: datetime) -> Added | AddRefused | None:
        token = self.store.tokens.get(submission.token_sha256)
        if token is None or submission.key is None:
            return None
        entry = self.store.keys.get((token.workspace, token.person, submission.route, submission.key))
        if entry is None or entry.created_at + KEYS_KEPT <= now:
            return None
        same = entry.body_sha256 == submission.body_sha256
        return Added(entry.ids, replayed=True) if same else AddRefused.KEY_CONFLICT

    def _insert(self, new: NewTask, now: datetime) -> None:
        row = TaskRow(
            id=new.id,
            workspace=new.workspace,
            request=new.request,
            state=new.target,
            created_at=now,
            since=now,
            next_check_at=None,
            priority=new.priority,
            kind=new.kind,
            economy=new.economy,
        )
        row.next_check_at = self.look_again(row, timedelta(0) if new.ask is None else new.ask.expires_in, now)
        row.waiting_for = self.delayed(row, now)
        self.store.tasks[new.id] = row
        if new.plan is not None:
            self.store_plan(row, new.plan)
        if new.ask is not None:
            self.open_approval(row, new.ask, now)
        self.store.write_event(row, "submitted", None, now, new.actor, {})

    # --- leases -------------------------------------------------------------------------------------------------

    def claim(
        self, state: State, worker: str, limit: int, lease: timedelta, without: Collection[UUID] = ()
    ) -> list[Task]:
        """See Queue."""
        with self.store.commit() as now:
            by_workspace: dict[UUID, list[TaskRow]] = {}
            for row in self.store.tasks.values():
                if row.workspace in without:
                    continue
                if row.state is state and self.is_due(row, now) and not self.held_back(row):
                    by_workspace.setdefault(row.workspace, []).append(row)
            share = max(1, -(-limit // max(1, len(by_workspace))))
            ready = [r for rows in by_workspace.values() for r in sorted(rows, key=lambda r: r.claim_order)[:share]]
            chosen = sorted(ready, key=lambda r: r.claim_order)[:limit]
            return [self._lease(row, worker, lease, now) for row in chosen]

    def apply_then_claim(
        self, batch: Sequence[Transition | NextStep], claim: Claim
    ) -> tuple[frozenset[UUID], list[Task]]:
        """See Queue."""
        with self.store.commit():
            applied = self.apply(batch)
            return applied, self.claim(claim.state, claim.worker, claim.limit, claim.lease, claim.without)

    def claim_packs(self, worker: str, forming: Forming, lease: timedelta) -> list[list[Task]]:
        """See Queue."""
        with self.store.commit() as now:
            packs = packs_of(due_texts(self.store.tasks.values(), forming, now), forming, now)
            return [[self._lease(row, worker, lease, now) for row in pack] for pack in packs]

    def next_pack(self, forming: Forming) -> timedelta | None:
        """See Queue."""
        with self.store.commit() as now:
            lingered = lingers_until(due_texts(self.store.tasks.values(), forming, now), forming, now)
        times = [time for time in (lingered, self.next_due(State.RECEIVED)) if time is not None]
        return min(times, default=None)

    def held_back(self, row: TaskRow) -> bool:
        """What is queued in a paused workspace is not claimed; analysis goes on."""
        return row.state is State.QUEUED and self.store.paused(row.workspace)

    def next_lease_no(self, row: TaskRow) -> int:
        """The fencing token (I3)."""
        return row.lease_no + 1

    def _lease(self, row: TaskRow, worker: str, lease: timedelta, now: datetime) -> Task:
        source = row.state
        row.state, kind = CLAIMED[source]
        row.lease_no = self.next_lease_no(row)
        row.worker = worker
        row.waiting_for = None
        row.since = now
        row.next_check_at = now + lease
        self.store.write_event(row, kind, source, now, worker, {})
        return row.public(now)

    def renew(self, held: Sequence[tuple[UUID, int]], lease: timedelta) -> frozenset[UUID]:
        """See Queue."""
        with self.store.commit() as now:
            kept = set()
            for task, lease_no in held:
                row = self.store.tasks.get(task)
                if row is None or row.state not in LEASED or row.lease_no != lease_no:
                    continue
                if row.next_check_at is not None and row.next_check_at > now:  # what is over is not revived
                    row.next_check_at = max(row.next_check_at, now + lease)
                    kept.add(task)
            return frozenset(kept)

    # --- looking ------------------------------------------------------------------------------------------------

    def request_cancel(self, workspace: UUID, task: UUID, note: str | None, actor: str) -> bool:
        """See Queue."""
        with self.store.commit() as now:
            row = self.store.tasks.get(task)
            if row is None or row.workspace != workspace or row.state not in LEASED or row.batch is not None:
                return False
            if row.cancel_requested_at is None:
                row.cancel_requested_at, row.cancel_requested_by, row.cancel_note = now, actor, note
            return True

    def hasten(self, workspace: UUID, waiting_for: str) -> int:
        """See Queue."""
        with self.store.commit() as now:
            waiting = [
                row
                for row in self.store.tasks.values()
                if row.workspace == workspace
                and row.state in {State.RECEIVED, State.QUEUED}
                and row.waiting_for == waiting_for
                and not self.is_due(row, now)
            ]
            for row in waiting:
                row.next_check_at = now
            return len(waiting)

    def awaited(self, workspace: UUID, tasks: Sequence[UUID], linger: timedelta) -> int:
        """See Queue."""
        with self.store.commit() as now:
            rows = [row for task in tasks if (row := self.store.tasks.get(task)) is not None]
            waiting = [
                row
                for row in rows
                if row.workspace == workspace
                and row.state is State.RECEIVED
                and not row.economy
                and row.waiting_for is None
                and row.next_check_at is not None
                and now - linger < row.next_check_at <= now
            ]
            for row in waiting:
                row.next_check_at = now - linger
            return len(waiting)

    def due(self, limit: int) -> list[Task]:
        """See Queue."""
        with self.store.commit() as now:
            rows = [r for r in self.store.tasks.values() if self.needs_maintenance(r, now)]
            rows.sort(key=lambda r: r.next_check_at or now)
            return [row.public(now) for row in rows[:limit]]

    def needs_maintenance(self, row: TaskRow, now: datetime) -> bool:
        """Its time has passed, no function claims it, and no attempt of it may still be in flight."""
        return row.state in LOOKED_AT and self.is_due(row, now) and not self.in_flight(row, now)

    def next_due(self, state: State) -> timedelta | None:
        """See Queue."""
        with self.store.commit() as now:
            times = [r.next_check_at - now for r in self.store.tasks.values() if r.state is state and r.next_check_at]
            return min((wait for wait in times if wait > timedelta(0)), default=None)

    def forget(self, limit: int) -> int:
        """See Queue."""
        with self.store.commit() as now:
            old = [key for key, entry in self.store.keys.items() if entry.created_at < now - KEYS_KEPT][:limit]
            for key in old:
                del self.store.keys[key]
            return len(old)

    def get(self, workspace: UUID, ids: Sequence[UUID]) -> list[Task]:
        """See Queue."""
        with self.store.commit() as now:
            rows = [self.store.tasks.get(task) for task in ids]
            return [row.public(now) for row in rows if row is not None and row.workspace == workspace]
