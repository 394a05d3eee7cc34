"""The ledger in memory, looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from uuid import UUID

from common.adapters.memory.rows import CallEntry
from common.adapters.memory.store import MemoryStore, month_of
from common.core.task import PlanSource
from common.ports import CallReason, CallSum, KindCost, MonthCosts, Saved, Usage

BILLED = frozenset({"settled", "assumed_billed"})


class MemoryCosts:
    """See `common.ports.Costs`."""

    def __init__(self, store: MemoryStore) -> None:
        """`store`: shared with the other adapters."""
        self.store = store

    def month(self, workspace: UUID, month: str | None = None) -> MonthCosts:
        """See Costs."""
        with self.store.commit() as now:
            wanted = month or month_of(now)
            budget = self.store.budgets.get((workspace, wanted))
            spent = 0 if budget is None else budget.spent
            mine = [c for c in self.store.calls.values() if c.workspace == workspace and c.state in BILLED]
            calls = [c for c in mine if c.month == wanted]
            hits = self._hits(workspace, wanted)
            return MonthCosts(
                month=wanted,
                at=now,
                cap=None if budget is None else budget.cap,
                reserved=0 if budget is None else budget.reserved,
                all=_sum(calls) if calls else CallSum(cost=spent, baseline=spent),  # none left: it was forgotten
                levered=_levered(calls),
                packs=_sum(c for c in calls if c.tasks > 1),
                models={model: _sum(c for c in calls if c.model == model) for model in {c.model for c in calls}},
                whys={
                    why: _sum(c for c in calls if (c.purpose, c.reason) == why)
                    for why in {(c.purpose, c.reason) for c in calls}
                },
                days={day: _sum(c for c in calls if _day(c) == day) for day in {_day(c) for c in calls}},
                kinds=self._kinds(calls),
                hits=hits,
                naive_task=_naive(mine, wanted) if hits else 0,
            )

    def forget(self, kept: timedelta, limit: int = 1000) -> int:
        """See Costs."""
        with self.store.commit() as now:
            first_kept = month_of(now - kept)
            old = [c.id for c in self.store.calls.values() if c.month < first_kept and c.state != "reserved"][:limit]
            for call in old:
                del self.store.calls[call]
                self.store.batches.pop(call, None)
            return len(old)

    def _kinds(self, calls: list[CallEntry]) -> dict[str | None, KindCost]:
        shares: dict[UUID, Fraction] = defaultdict(Fraction)
        for call in calls:
            for task in call.task_ids:
                shares[task] += Fraction(call.cost, max(call.tasks, 1))
        kinds: dict[str | None, list[Fraction]] = defaultdict(list)
        for task, share in shares.items():
            if task in self.store.tasks:
                kinds[self.store.tasks[task].kind].append(share)
        found = {kind: KindCost(tasks=len(those), cost=round(sum(those, Fraction(0)))) for kind, those in kinds.items()}
        left = sum(c.cost for c in calls) - sum(kind.cost for kind in found.values())
        if left > len(found):
            unknown = found.get(None, KindCost(tasks=0, cost=0))
            found[None] = KindCost(tasks=unknown.tasks, cost=unknown.cost + left)
        return found

    def _hits(self, workspace: UUID, month: str) -> dict[date, int]:
        found: dict[date, int] = defaultdict(int)
        for (task, _), plan in self.store.plans.items():
            day = datetime.fromtimestamp((task.int >> 80) / 1000, UTC).date()
            row = self.store.tasks.get(task)
            ours = row is not None and row.workspace == workspace
            if ours and plan.source == PlanSource.CACHED and f"{day:%Y-%m}" == month:
                found[day] += 1
        return dict(found)


def _sum(of: Iterable[CallEntry]) -> CallSum:
    calls = list(of)
    bills = [c.bill for c in calls if c.bill is not None]
    return CallSum(
        calls=len(calls),
        tasks=sum(c.tasks for c in calls),
        usage=Usage(
            input=sum(b.usage.input for b in bills),
            output=sum(b.usage.output for b in bills),
            cache_read=sum(b.usage.cache_read for b in bills),
            cache_write=sum(b.usage.cache_write for b in bills),
        ),
        cost=sum(c.cost for c in calls),
        baseline=sum(c.cost if c.bill is None else c.bill.baseline for c in calls),
        saved=Saved(
            model=sum(b.saved.model for b in bills),
            prompt=sum(b.saved.prompt for b in bills),
            pack=sum(b.saved.pack for b in bills),
            batch=sum(b.saved.batch for b in bills),
        ),
        disagreements=sum(c.disagreements for c in calls),
    )


def _levered(calls: list[CallEntry]) -> Saved:
    """Over how many tasks each lever did anything."""
    billed = [(c.tasks, c.bill.saved) for c in calls if c.bill is not None]
    return Saved(
        model=sum(tasks for tasks, saved in billed if saved.model),
        prompt=sum(tasks for tasks, saved in billed if saved.prompt),
        pack=sum(tasks for tasks, saved in billed if saved.pack),
        batch=sum(tasks for tasks, saved in billed if saved.batch),
    )


def _day(call: CallEntry) -> date:
    return call.created_at.astimezone(UTC).date()


def _naive(calls: list[CallEntry], month: str) -> int:
    """The mean naive price of a task, in the newest month up to this one that had a first call."""
    first = [c for c in calls if (c.purpose, c.reason, c.state) == ("analysis", CallReason.FIRST, "settled")]
    newest = max((c.month for c in first if c.month <= month), default=None)
    whole = _sum(c for c in first if c.month == newest)
    return whole.baseline // whole.tasks if whole.tasks else 0
