"""I7, told apart from the code that makes it hold: the ledger against both limits, its counters, and the bill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from common.adapters.memory.rows import CallEntry
from common.adapters.memory.store import MemoryStore
from tests.simulator.far_batches import FarBatch
from tests.simulator.known import Violation

CHECK = "check"
ORPHAN = "orphan"  # it was sent already: there was nothing to reserve


@dataclass(slots=True)
class Ledger:
    """Looks after every commit that moves money, and whenever the provider bills."""

    store: MemoryStore
    billed: Mapping[UUID, int]  # by the provider, for calls of their own
    batches: Mapping[str, FarBatch]  # as the provider has them
    seen: object = None
    held: dict[tuple[UUID | None, str], int] = field(default_factory=dict)  # by budget, at the last look

    def look(self) -> None:
        """Nothing passes a limit, nothing is counted wrong, and nothing is billed that is not on record."""
        calls = self.store.calls
        seen = (
            [(c.state, c.cost) for c in calls.values()],
            len(self.billed),
            sum(b.billed for b in self.batches.values()),
        )
        if seen == self.seen:
            return
        self.seen = seen
        for (workspace, month), budget in self.store.budgets.items():
            mine = [c for c in calls.values() if c.month == month and workspace in (c.workspace, None)]
            reserved = sum(c.reserved for c in mine if c.state == "reserved")
            spent = sum(c.cost for c in mine)
            if (budget.reserved, budget.spent) != (reserved, spent):
                raise Violation(f"I7: {budget} but calls say reserved {reserved}, spent {spent}")
            orphans = sum(c.held for c in mine if c.reason == ORPHAN)
            held, before = reserved + spent - orphans, self.held.get((workspace, month), 0)
            self.held[workspace, month] = held
            if held > budget.cap and held > before:  # a limit that was lowered takes nothing back
                raise Violation(f"I7: reserved {reserved} + spent {spent} pass {budget.cap}")
        for call, amount in self.billed.items():
            _covers(calls[call], amount, whole=True)
        for batch in self.batches.values():
            self._batch(batch)

    def _batch(self, batch: FarBatch) -> None:
        row = self.row_of(batch)
        if row is not None and not batch.results and self.store.batches[row.id].of != batch.call:
            return  # nothing of it says whose it is: see `all_booked`
        if row is not None:
            unbooked = row.reason == ORPHAN and row.state == "reserved"
            amount = 0 if unbooked else batch.billed - self._checks_of(batch)
            _covers(row, amount, whole=len(batch.results) == len(batch.names))
        elif batch.call is not None and batch.call not in self.store.batches:
            raise Violation(f"I7: {batch.id} was sent and is not on record")

    def _checks_of(self, batch: FarBatch) -> int:
        """What of its bill stands in a row of its own: readings that were checks (I12)."""
        return sum(c.cost for c in self.store.calls.values() if c.reason == CHECK and c.request_id == batch.id)

    def row_of(self, batch: FarBatch) -> CallEntry | None:
        """The call on whose row its name stands; None: nobody knows it yet, or it is another program's."""
        if not batch.calls:
            return None
        rows = (call for call, entry in self.store.batches.items() if entry.provider_id == batch.id)
        return next((self.store.calls[call] for call in rows), None)

    def all_booked(self) -> None:
        """In the end every call is closed, and of every batch it is known what it cost."""
        open_ = [c.id for c in self.store.calls.values() if c.state == "reserved"]
        if open_:
            raise Violation(f"I7: {open_} are reserved for ever")
        made = [b for b in self.batches.values() if b.calls and not b.too_late]
        rows = [c for c in self.store.calls.values() if c.id in self.store.batches or c.request_id in self.batches]
        if sum(b.billed for b in made) > sum(c.cost for c in rows):
            raise Violation("I7: all batches together were billed more than the ledger has")
        unknown = [b.id for b in self.batches.values() if b.billed and not b.too_late and not self._is_covered(b)]
        if unknown:
            raise Violation(f"I7: {unknown} were billed and are in no ledger")

    def _is_covered(self, batch: FarBatch) -> bool:
        """It is on record; or its call is assumed billed, with enough for all that was made of it."""
        if batch.call is None or self.row_of(batch) is not None:
            return True
        row, made = self.store.calls[batch.call], [b for b in self.batches.values() if b.call == batch.call]
        return row.state == "assumed_billed" and row.cost >= sum(b.billed for b in made)


def _covers(row: CallEntry, amount: int, *, whole: bool) -> None:
    """What the ledger holds is at least the bill; of a call that was answered in whole, exactly it."""
    if row.held < amount or (row.state == "settled" and whole and row.cost != amount):
        raise Violation(f"I7: {row.reason} was billed {amount}, the ledger has {row.state} {row.held}")
