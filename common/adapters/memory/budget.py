"""The Budget in memory: reserve before, settle after, never past the cap (I7)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from common.adapters.memory.rows import BudgetEntry, CallEntry
from common.adapters.memory.store import MemoryStore
from common.adapters.memory.workspace import MemoryWorkspace
from common.ports import BudgetView, CallRequest, Usage


class MemoryBudget:
    """See `common.ports.Budget`."""

    def __init__(self, store: MemoryStore) -> None:
        """`store`: shared with the other adapters."""
        self.store = store
        self._workspace = MemoryWorkspace(store)

    def reserve(self, call: CallRequest) -> UUID | None:
        """See Budget."""
        with self.store.commit() as now:
            month = self._month(call.workspace, now)
            if not self.has_room(month, call.reserve):
                return None
            month.reserved += call.reserve
            entry = CallEntry(
                id=self.store.new_id(),
                workspace=call.workspace,
                purpose=call.purpose,
                month=f"{now:%Y-%m}",
                task_ids=call.task_ids,
                reserved=call.reserve,
                deadline=now + call.deadline,
            )
            self.store.calls[entry.id] = entry
            return entry.id

    def has_room(self, month: BudgetEntry, amount: int) -> bool:
        """The condition of the one UPDATE that reserves (I7)."""
        return month.reserved + month.spent + amount <= month.cap

    def settle(self, call: UUID, usage: Usage, cost: int) -> None:
        """See Budget."""
        with self.store.commit():
            if self._close(call, "settled", cost):
                self.store.calls[call].usage = usage

    def void(self, call: UUID) -> None:
        """See Budget."""
        with self.store.commit():
            self._close(call, "voided", 0)

    def assume_billed(self, call: UUID) -> None:
        """See Budget."""
        with self.store.commit():
            self._assume(call)

    def expire(self) -> int:
        """See Budget."""
        with self.store.commit() as now:
            late = [c.id for c in self.store.calls.values() if c.state == "reserved" and c.deadline <= now]
            return sum(self._assume(call) for call in late)

    def month(self, workspace: UUID) -> BudgetView:
        """See Budget."""
        with self.store.commit() as now:
            month = self._month(workspace, now)
            return BudgetView(month=f"{now:%Y-%m}", cap=month.cap, spent=month.spent, reserved=month.reserved)

    def _month(self, workspace: UUID, now: datetime) -> BudgetEntry:
        cap = self._workspace.policy(workspace).budget_nanodollars
        month = self.store.budgets.setdefault((workspace, f"{now:%Y-%m}"), BudgetEntry(cap))
        month.cap = cap
        return month

    def _assume(self, call: UUID) -> bool:
        entry = self.store.calls.get(call)
        return entry is not None and self._close(call, "assumed_billed", entry.reserved)

    def _close(self, call: UUID, state: Literal["settled", "voided", "assumed_billed"], cost: int) -> bool:
        entry = self.store.calls.get(call)
        if entry is None or entry.state != "reserved":
            return False
        month = self.store.budgets[entry.workspace, entry.month]
        month.reserved -= entry.reserved
        month.spent += cost
        entry.state, entry.cost = state, cost
        return True
