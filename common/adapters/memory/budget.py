"""The Budget in memory: reserve before, settle after, never past the cap (I7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from common.adapters.memory.rows import BudgetEntry, CallEntry
from common.adapters.memory.store import MemoryStore, month_of
from common.adapters.memory.workspace import MemoryWorkspace
from common.core.installation import nanodollars
from common.core.spending import Standing
from common.core.task import Lang
from common.core.unanswered import Tried
from common.ports import Bill, BudgetTold, BudgetView, CallReason, CallRequest, NotReserved, Unbelieved, Usage


class MemoryBudget:
    """See `common.ports.Budget`."""

    def __init__(self, store: MemoryStore) -> None:
        """`store`: shared with the other adapters."""
        self.store = store
        self._workspace = MemoryWorkspace(store)

    def reserve(self, call: CallRequest) -> UUID | NotReserved:
        """See Budget."""
        with self.store.commit() as now:
            if call.cap is not None and self._booked(call) + call.reserve > call.cap:
                return NotReserved.COST_CAP
            months = self._months(call.workspace, now)
            if not all(self.has_room(month, call.reserve) for month in months):
                return NotReserved.OVER_BUDGET
            for month in months:
                month.reserved += call.reserve
            entry = CallEntry(
                id=self.store.new_id(),
                workspace=call.workspace,
                purpose=call.purpose,
                month=month_of(now),
                task_ids=call.task_ids,
                reserved=call.reserve,
                deadline=now + call.deadline,
                model=call.model,
                prompt_version=call.prompt_version,
                reason=call.reason,
                tasks=call.tasks,
                created_at=now,
            )
            self.store.calls[entry.id] = entry
            return entry.id

    def _booked(self, call: CallRequest) -> int:
        """Reserved or spent by calls of this purpose for its task."""
        calls = self.store.calls.values()
        return sum(c.held for c in calls if c.purpose == call.purpose and set(c.task_ids) & set(call.task_ids))

    def has_room(self, month: BudgetEntry, amount: int) -> bool:
        """The condition of the one UPDATE that reserves (I7)."""
        return month.reserved + month.spent + amount <= month.cap

    def settle(self, call: UUID, bill: Bill) -> None:
        """See Budget."""
        with self.store.commit():
            if self._close(call, "settled", bill.cost, bill.request_id):
                self.store.calls[call].bill = bill

    def void(self, call: UUID, request_id: str | None = None) -> None:
        """See Budget."""
        with self.store.commit():
            self._close(call, "voided", 0, request_id)

    def assume_billed(self, call: UUID, request_id: str | None = None) -> None:
        """See Budget."""
        with self.store.commit():
            self._assume(call, request_id)

    def differed(self, call: UUID, tasks: int) -> None:
        """See Budget."""
        with self.store.commit():
            self.store.calls[call].disagreements = tasks

    def tries(self, tasks: Sequence[UUID]) -> dict[UUID, list[Tried]]:
        """See Budget."""
        with self.store.commit():
            over = [
                call
                for call in self.store.calls.values()  # oldest first
                if call.purpose == "analysis"
                and call.state in {"settled", "assumed_billed"}
                and call.id not in self.store.batches
            ]
            return {task: found for task in tasks if (found := _tries(task, over))}

    def expire(self) -> int:
        """See Budget."""
        with self.store.commit() as now:
            late = [c.id for c in self.store.calls.values() if c.state == "reserved" and c.deadline <= now]
            return sum(self._assume(call) for call in late)

    def month(self, workspace: UUID) -> BudgetView:
        """See Budget."""
        with self.store.commit() as now:
            month = month_of(now)
            owners: tuple[Literal["workspace", "installation"], ...] = ("workspace", "installation")
            views = [
                BudgetView(month=month, cap=m.cap, spent=m.spent, reserved=m.reserved, at=now, of=of)
                for m, of in zip(self._months(workspace, now), owners, strict=True)
            ]
            return min(views, key=lambda view: view.cap - view.spent - view.reserved)

    def standings(self) -> list[BudgetTold]:
        """See Budget."""
        with self.store.commit():
            asked = sorted({workspace for workspace, _ in self.store.budgets if workspace is not None})
            return [
                BudgetTold(
                    workspace=workspace,
                    month=self.month(workspace),
                    told=next((m.announced for m in self._newest(workspace) if m.announced), Standing.NORMAL),
                    lang=self._lang(workspace),
                )
                for workspace in asked
            ]

    def unbelieved(self, since: timedelta) -> list[Unbelieved]:
        """See Budget."""
        with self.store.commit() as now:
            direct = [call for call in self.store.calls.values() if call.id not in self.store.batches]
            found = Counter(c.workspace for c in direct if c.created_at > now - since and _is_unbelieved(c))
            return [
                Unbelieved(workspace=workspace, calls=calls, lang=self._lang(workspace))
                for workspace, calls in sorted(found.items())
            ]

    def told(self, workspace: UUID, state: Standing) -> None:
        """See Budget."""
        with self.store.commit():
            self._newest(workspace)[0].announced = state

    def _newest(self, workspace: UUID) -> list[BudgetEntry]:
        months = sorted((month for owner, month in self.store.budgets if owner == workspace), reverse=True)
        return [self.store.budgets[workspace, month] for month in months]

    def _lang(self, workspace: UUID) -> Lang:
        newest = max((row.id for row in self.store.tasks.values() if row.workspace == workspace), default=None)
        return "en" if newest is None else self.store.tasks[newest].request.lang

    def _months(self, workspace: UUID, now: datetime) -> tuple[BudgetEntry, BudgetEntry]:
        """The workspace's and the installation's; their caps follow the settings."""
        whole = self.store.settings.get((None, "budget_usd"))
        own = self._workspace.policy(workspace).budget_nanodollars
        # The only workspace is the installation: raising its limit raises both.
        alone = len(self.store.workspaces) <= 1
        installation = own if alone else nanodollars(whole.value if whole is not None else None)
        month = month_of(now)
        return self._capped(workspace, month, own), self._capped(None, month, installation)

    def _capped(self, owner: UUID | None, month: str, cap: int) -> BudgetEntry:
        entry = self.store.budgets.get((owner, month))
        if entry is None:
            entry = self.store.budgets[owner, month] = BudgetEntry(cap)
        entry.cap = cap
        return entry

    def _assume(self, call: UUID, request_id: str | None = None) -> bool:
        entry = self.store.calls.get(call)
        if entry is None:
            return False
        # Of an orphan a nanodollar is reserved: it may have cost what its requests cost at most.
        is_orphan = entry.reason is CallReason.ORPHAN
        most = sum(asked.most for asked in self.store.batches[call].asked) if is_orphan else entry.reserved
        return self._close(call, "assumed_billed", most, request_id)

    def _close(
        self,
        call: UUID,
        state: Literal["settled", "voided", "assumed_billed"],
        cost: int,
        request_id: str | None = None,
    ) -> bool:
        entry = self.store.calls.get(call)
        if entry is None or entry.state != "reserved":
            return False
        for owner in (entry.workspace, None):
            month = self.store.budgets[owner, entry.month]
            month.reserved -= entry.reserved
            month.spent += cost
        entry.state, entry.cost, entry.request_id = state, cost, request_id
        return True


def _tries(task: UUID, over: Sequence[CallEntry]) -> list[Tried]:
    """Of the calls of all tasks that are over, oldest first."""
    found: list[Tried] = []
    answered: dict[str, bool] = {}  # by model, since it was last asked about this task
    for call in over:
        if task in call.task_ids:
            found.append(Tried(call.state == "settled", call.tasks == 1, answered.get(call.model, False)))
            answered[call.model] = call.state == "settled"
        elif call.model in answered:
            answered[call.model] |= call.state == "settled"
    return found


def _is_unbelieved(call: CallEntry) -> bool:
    """Answered, booked in full, and without tokens."""
    return (
        call.state == "settled" and call.cost == call.reserved and call.bill is not None and call.bill.usage == Usage()
    )
