"""The Approvals in memory: decisions, and who has been told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from common.adapters.memory.queue import MemoryQueue
from common.adapters.memory.rows import ApprovalRow
from common.adapters.memory.store import MemoryStore
from common.core.lifecycle import Transition
from common.core.task import State
from common.ports import Approval, Decided, Decision, Notice, Verdict

VALID_FOR: Final = timedelta(hours=24)
TOLD: Final = frozenset({State.AWAITING_APPROVAL, State.MANUAL})


class MemoryApprovals:
    """See `common.ports.Approvals`."""

    def __init__(self, store: MemoryStore, queue: MemoryQueue | None = None) -> None:
        """`store`: shared with the other adapters. `queue`: whose `apply` a decision goes through."""
        self.store = store
        self._queue = queue or MemoryQueue(store)
        self._told_from = 0

    def open(self, workspace: UUID, task: UUID) -> Approval | None:
        """See Approvals."""
        with self.store.commit():
            row = self.store.tasks.get(task)
            found = self.store.open_approval(task)
            return self._public(found) if found is not None and row is not None and row.workspace == workspace else None

    def valid(self, workspace: UUID, task: UUID, digest: str) -> bool:
        """See Approvals."""
        with self.store.commit() as now:
            row = self.store.tasks.get(task)
            found = self.store.open_approval(task)
            mine = row is not None and row.workspace == workspace
            return mine and found is not None and found.is_valid(digest, now)

    def decide(self, decision: Decision, then: Transition, *, self_allowed: bool) -> Verdict:
        """See Approvals."""
        with self.store.commit() as now:
            row = self.store.tasks.get(then.task_id)
            found = self.store.open_approval(then.task_id)
            if row is None or found is None or not self.same_digest(found, decision):
                return Verdict.STALE
            refused = self._refusal(found, decision, self_allowed, now)
            if refused is not None:
                return refused
            if not self._queue.guards_hold(row, then, now):
                return Verdict.STALE
            name = self.store.people.get(decision.person, "")
            found.decisions.append(
                Decided(person=decision.person, person_name=name, verdict=decision.verdict, note=decision.note, at=now)
            )
            if sum(d.verdict == "approved" for d in found.decisions) >= found.required:
                found.valid_until = max(now, row.request.not_before or now) + VALID_FOR
            self._queue.apply_one(then, now)
            return Verdict.APPLIED

    def same_digest(self, approval: ApprovalRow, decision: Decision) -> bool:
        """The person saw exactly what waits (I4)."""
        return approval.digest == decision.digest

    def _refusal(self, found: ApprovalRow, decision: Decision, self_allowed: bool, now: datetime) -> Verdict | None:  # noqa: FBT001 - passed on
        if any(d.person == decision.person for d in found.decisions):
            return Verdict.ALREADY
        if found.expires_at <= now:
            return Verdict.EXPIRED
        if decision.person == found.requested_by and not self_allowed:
            return Verdict.SELF
        token = None if decision.token_sha256 is None else self.store.tokens.get(decision.token_sha256)
        lent = token is not None and token.kind == "api" and token.issued_by == found.requested_by
        return Verdict.ISSUED if lent and not self_allowed else None

    def unannounced(self, limit: int) -> list[Notice]:
        """See Approvals."""
        with self.store.commit() as now:
            rows = [r for r in self.store.tasks.values() if r.state in TOLD and r.announced_seq < r.event_seq]
            notices = []
            self._told_from = (self._told_from + limit) % max(1, len(rows))
            for row in (rows[self._told_from :] + rows[: self._told_from])[:limit]:
                found = self.store.open_approval(row.id)
                notices.append(
                    Notice(
                        task=row.public(now),
                        requested_by_name=self.store.people.get(row.request.requested_by, ""),
                        approval=None if found is None else self._public(found),
                    )
                )
            return notices

    def announced(self, told: Sequence[tuple[UUID, int]]) -> None:
        """See Approvals."""
        with self.store.commit():
            for task, seq in told:
                row = self.store.tasks.get(task)
                if row is not None:
                    row.announced_seq = max(row.announced_seq, seq)

    def remind(self, tasks: Sequence[UUID], again: timedelta) -> None:
        """See Approvals."""
        with self.store.commit() as now:
            for task in tasks:
                row = self.store.tasks.get(task)
                if row is not None and row.state is State.MANUAL and self._queue.is_due(row, now):
                    row.announced_seq = 0
                    row.next_check_at = now + again

    def _public(self, row: ApprovalRow) -> Approval:
        return Approval(
            id=row.id,
            task_id=row.task_id,
            plan_number=row.plan_number,
            digest=row.digest,
            requested_by=row.requested_by,
            requested_by_name=self.store.people.get(row.requested_by, ""),
            required=row.required,
            expires_at=row.expires_at,
            valid_until=row.valid_until,
            decisions=tuple(row.decisions),
        )
