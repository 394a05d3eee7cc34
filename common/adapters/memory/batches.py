"""The Batches in memory: what adapters/postgres/batches.py keeps in the calls' own rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from common.adapters.memory.budget import MemoryBudget
from common.adapters.memory.rows import BatchEntry
from common.adapters.memory.store import MemoryStore
from common.core.task import Task
from common.ports import ANSWER_IN, SEND_WITHIN, Asked, Batch, CallReason, CallRequest, Checked, NotOpened, NotReserved

SELDOM: Final = timedelta(minutes=5)
OFTEN: Final = timedelta(minutes=1)


class MemoryBatches:
    """See `common.ports.Batches`."""

    def __init__(self, store: MemoryStore) -> None:
        """`store`: shared with the other adapters."""
        self.store = store
        self._budget = MemoryBudget(store)

    def is_free(self, key: str) -> bool:
        """See Batches."""
        with self.store.commit():
            open_ = (self.store.batches[call] for call in self._open())
            return not any(entry.key == key and entry.provider_id is None for entry in open_)

    def open(self, call: CallRequest, key: str, asked: Sequence[Asked]) -> UUID | NotReserved | NotOpened:
        """See Batches."""
        with self.store.commit() as now:
            if not self.is_free(key):
                return NotOpened.UNANSWERED
            made = self._budget.reserve(call)
            if isinstance(made, UUID):
                self.store.batches[made] = BatchEntry(key, tuple(asked), made, now + ANSWER_IN)
            return made

    def name(
        self, batch: UUID, provider_id: str, *, certain: bool, answered: bool = False, instead_of: str | None = None
    ) -> bool:
        """See Batches."""
        with self.store.commit() as now:
            if batch not in self._open():
                return False
            entry = self.store.batches[batch]
            before = entry.provider_id
            if before != provider_id and entry.certain:
                return False
            if not certain and before not in {provider_id, instead_of}:
                return False
            if before != provider_id and not self._freed(provider_id, certain=certain):
                return False
            if before not in {None, provider_id}:
                entry.not_ours += (str(before),)
            entry.provider_id = provider_id
            entry.certain = entry.certain or certain
            entry.answered = entry.answered or answered
            entry.poll_at = now + OFTEN
            return True

    def begin(self, batch: UUID) -> bool:
        """See Batches."""
        with self.store.commit() as now:
            if batch not in self._open() or self.store.batches[batch].certain:
                return False
            if now >= self.store.calls[batch].created_at + SEND_WITHIN:
                return False
            self.store.batches[batch].poll_at = now + ANSWER_IN
            return True

    def give_up(self, batch: UUID, seen: str | None, *, billed: bool, after: timedelta = timedelta(0)) -> bool:
        """See Batches."""
        with self.store.commit() as now:
            if batch not in self._open() or now < self.store.calls[batch].created_at + after:
                return False
            entry = self.store.batches[batch]
            if entry.provider_id != seen or (entry.certain and not billed):
                return False
            if billed:
                self._budget.assume_billed(batch)
            else:
                self._budget.void(batch)
            for row in self.store.tasks.values():
                if row.batch == batch:
                    row.next_check_at = now
            return True

    def checked(self, batch: UUID, checked: Checked) -> bool:
        """See Batches."""
        with self.store.commit():
            if batch not in self._open() or self.store.batches[batch].checked:
                return False
            call, cost = self.store.calls[batch], checked.bill.cost
            left = max(1, call.reserved - cost)
            made = replace(
                call, id=self.store.new_id(), reserved=max(1, cost), state="settled", cost=cost, bill=checked.bill,
                reason=CallReason.CHECK, tasks=len(checked.tasks), task_ids=tuple(dict.fromkeys(checked.tasks)),
                disagreements=checked.different, request_id=self.store.batches[batch].provider_id,
            )  # fmt: skip
            for owner in (call.workspace, None):
                month = self.store.budgets[owner, call.month]
                month.reserved -= call.reserved - left
                month.spent += cost
            call.reserved = left
            self.store.calls[made.id] = made
            self.store.batches[batch].checked = True
            return True

    def orphan(self, of: UUID, provider_id: str, *, certain: bool) -> bool:
        """See Batches."""
        with self.store.commit() as now:
            if of not in self.store.batches or (not certain and self._is_held(provider_id)):
                return False
            if not self._freed(provider_id, certain=certain):
                return False
            call = self.store.calls[of]
            made = replace(
                call, id=self.store.new_id(), reserved=1, state="reserved", cost=0, bill=None,
                reason=CallReason.ORPHAN, tasks=0, task_ids=(),
            )  # fmt: skip
            self.store.calls[made.id] = made
            for owner in (call.workspace, None):
                self.store.budgets[owner, call.month].reserved += 1
            self.store.batches[made.id] = replace(
                self.store.batches[of], provider_id=provider_id, certain=certain, not_ours=(), poll_at=now
            )
            return True

    def known(self, provider_ids: Sequence[str]) -> frozenset[str]:
        """See Batches."""
        with self.store.commit():
            known = {entry.provider_id for call, entry in self.store.batches.items() if not self._may_be_orphan(call)}
            return frozenset(given for given in provider_ids if given in known)

    def is_on_record(self, call: UUID) -> bool:
        """See Batches."""
        with self.store.commit():
            return call in self.store.batches

    def due(self, limit: int) -> list[Batch]:
        """See Batches."""
        with self.store.commit() as now:
            due = [call for call in self._open() if self.store.batches[call].poll_at <= now]
            due.sort(key=lambda call: self.store.batches[call].poll_at)
            return [self._looked_at(call, now) for call in due[:limit]]

    def next_due(self) -> timedelta | None:
        """See Batches."""
        with self.store.commit() as now:
            times = [self.store.batches[call].poll_at - now for call in self._open()]
            return max(timedelta(0), min(times)) if times else None

    def parked(self, batch: UUID, limit: int = 1000) -> list[Task]:
        """See Batches."""
        with self.store.commit() as now:
            rows = [row for row in self.store.tasks.values() if row.batch == batch]
            return [row.public(now) for row in sorted(rows, key=lambda row: row.id)[:limit]]

    def _may_be_orphan(self, call: UUID) -> bool:
        row = self.store.calls[call]
        return row.reason is CallReason.ORPHAN and row.state == "reserved" and not self.store.batches[call].certain

    def _is_held(self, provider_id: str) -> bool:
        return any(entry.provider_id == provider_id for entry in self.store.batches.values())

    def _freed(self, provider_id: str, *, certain: bool) -> bool:
        """Whether nobody has the id, once it is taken from what only may have it."""
        for call, entry in self.store.batches.items():
            if entry.provider_id == provider_id:
                if self._may_be_orphan(call):
                    self._budget.void(call)
                elif certain and not entry.certain and call in self._open() and self.is_free(entry.key):
                    entry.not_ours += (provider_id,)  # without an answer again
                elif entry.certain or self.store.calls[call].state != "voided":
                    return False
                entry.provider_id = None
        return True

    def _open(self) -> list[UUID]:
        """Not booked yet."""
        return [call for call in self.store.batches if self.store.calls[call].state == "reserved"]

    def _looked_at(self, call: UUID, now: datetime) -> Batch:
        entry, row = self.store.batches[call], self.store.calls[call]
        age = now - row.created_at
        entry.poll_at = now + max(OFTEN, min(SELDOM, age / 10))
        return Batch(
            id=call,
            workspace=row.workspace,
            model=row.model,
            prompt_version=row.prompt_version,
            reason=row.reason,
            asked=entry.asked,
            of=entry.of,
            key=entry.key,
            provider_id=entry.provider_id,
            certain=entry.certain,
            answered=entry.answered,
            not_ours=entry.not_ours,
            reserved=row.reserved,
            opened_at=row.created_at,
            age=age,
        )
