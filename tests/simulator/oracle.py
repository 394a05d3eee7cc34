"""What must always hold, told apart from the code that makes it hold: looked at after every commit and every effect.

After a commit only what it changed is looked at; at the end of a history, and in some of them each time, everything is,
so that nothing hides in what was thought to be unchanged: there each time from the first event on, else at the end that
the events are still those which were read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from common.adapters.memory.rows import TaskRow
from common.adapters.memory.store import MemoryStore
from common.core.lifecycle import GRACE, NextStep, Transition
from common.core.task import LEASED, TERMINAL, Event, OutcomeKind, State
from tests.simulator.grants import Grants
from tests.simulator.known import Chain, Known, Violation, broken
from tests.simulator.readings import Readings

BATCH_LASTS: Final = timedelta(hours=25)
ENDS_GRANT: Final = frozenset({"approval_needed", "replanned", "reanalyzed", "approval_expired", "plan_decided"})
SETTLED: Final = frozenset({OutcomeKind.DONE, OutcomeKind.NOT_DONE})


@dataclass(slots=True)
class Oracle:
    """Sees every commit."""

    store: MemoryStore
    readings: Readings
    grants: Grants
    acknowledged: set[UUID] = field(default_factory=set)
    known: dict[UUID, Known] = field(default_factory=dict)
    is_strict: bool = False  # looks at everything each time

    def look(self) -> None:
        """After a commit: every task that changed."""
        if len(self.store.tasks) != len(self.known):
            for row in self.store.tasks.values():
                if row.id not in self.known:
                    self.known[row.id] = Known(row)
        for known in self.known.values():
            if not known.is_as_seen():
                self._changed(known)
        if self.is_strict:
            self.look_at_everything()

    def look_at_everything(self) -> None:
        """Every task, whatever changed, and all of its events; where it is strict all of them anew."""
        for row in self.store.tasks.values():
            known = self.known[row.id]
            if known.row is not row:
                broken("I1", row, "a task took the place of another")
            events = self.store.events.get(row.id, ())
            known.chain.stands(row, events)
            if self.is_strict:
                anew = Chain()
                for event in events:
                    anew.follows(row, event)
                anew.is_of(row)
            self._standing(known)
            self.readings.holds(row)

    def all_there(self) -> None:
        """At the end: everything holds, and what was acknowledged is there (I1)."""
        lost = self.acknowledged - set(self.store.tasks)
        if lost:
            raise Violation(f"I1: {lost} were acknowledged and are gone")
        self.look()
        self.look_at_everything()

    def _changed(self, known: Known) -> None:
        row = known.row
        events = self.store.events.get(row.id, [])
        if len(events) > known.chain.events + 1:
            broken("I2", row, "two events in one commit")
        for event in events[known.chain.events :]:
            source = known.chain.state
            known.chain.follows(row, event)
            self._moved(known, event, source)
        known.chain.is_of(row)
        self._standing(known)
        if row.plan is not None and row.plan is not known.plan:
            self.readings.planned(row, row.plan, known.plan)
            known.plan = row.plan
        known.saw()

    def _moved(self, known: Known, event: Event, source: State | None) -> None:
        if source is State.RUNNING and event.actor == "schedule":
            ends = known.ends_by.items()
            flying = [key for key, end in ends if known.outcomes[key] is None and end + GRACE > event.at]
            if flying:
                broken("I6", known.row, f"rescued while {flying} may be in flight")
        if event.kind in ENDS_GRANT or event.to_state in TERMINAL or event.to_state is State.AWAITING_APPROVAL:
            self.grants.over(known.row.id)

    # --- what holds at any time -----------------------------------------------------------------------------------

    def _standing(self, known: Known) -> None:
        self._columns(known)
        self._attempts(known)
        self._approvals(known.row)

    def _columns(self, known: Known) -> None:
        row = known.row
        ended = row.state in TERMINAL
        if ended != (row.next_check_at is None):
            broken("I9", row, f"{row.state} is looked at again: {row.next_check_at}")
        if ended != (row.finished_at is not None):
            broken("I9", row, f"{row.state} finished at {row.finished_at}")
        if (row.worker is not None) != (row.state in LEASED and row.batch is None):
            broken("I3", row, f"{row.state} held by {row.worker}, parked on {row.batch}")
        if row.batch is not None:
            self._parked(known)

    def _parked(self, known: Known) -> None:
        """It waits for a batch that is on record, by name, and not for ever."""
        row = known.row
        if row.state is not State.ANALYZING:
            broken("I3", row, f"parked while {row.state}")
        if row.batch not in self.store.batches:
            broken("I9", row, "parked on a batch that is not on record")
        if row.waiting_for != "provider":
            broken("I9", row, f"parked, and waits for {row.waiting_for}")
        until = row.next_check_at or row.since
        room = until - row.since
        if room > BATCH_LASTS and until > self.store.now:  # what is due by now was hastened
            broken("I9", row, f"parked for {room}")
        if known.batch is row.batch:
            return
        # As seen by whoever parked it, who may have stood still since; not before the transition before this one.
        left = BATCH_LASTS * 2 if row.request.deadline is None else row.request.deadline - (known.since or row.since)
        if room >= left:
            broken("I9", row, f"parked for {room}, to be done in {left}")

    def _attempts(self, known: Known) -> None:
        row, claimed = known.row, set()
        for attempt in row.trail:
            key = (attempt.step_id, attempt.number)
            before = known.outcomes.get(key)
            if before in SETTLED and attempt.outcome is not before:
                broken("I6", row, f"{key} was {before}, is {attempt.outcome}")
            if attempt.outcome is None and row.state is not State.RUNNING:
                broken("I6", row, f"{key} open in {row.state}")
            if attempt.needed_approval and attempt.approval_id is None:
                broken("I4", row, f"{key} without approval")
            if attempt.claims_the_step:
                if attempt.step_id in claimed:
                    broken("I6", row, f"two attempts hold step {attempt.step_id}")
                claimed.add(attempt.step_id)
            known.saw_attempt(attempt)

    def _approvals(self, row: TaskRow) -> None:
        open_ = [a for a in self.store.approvals.get(row.id, ()) if a.closed_at is None]
        if len(open_) > 1:
            broken("I4", row, "two open approvals")
        if open_ and row.state in TERMINAL:
            broken("I4", row, "an approval outlives its task")
        waits = row.state is State.AWAITING_APPROVAL and row.plan is not None
        if waits and row.plan is not None and [a.plan_number for a in open_] != [row.plan.number]:
            broken("I4", row, "waits without an approval to give")

    # --- the fencing token ------------------------------------------------------------------------------------------

    def stale(self, batch: Sequence[Transition | NextStep]) -> Callable[[], None]:
        """Before `apply`: a check for after it, that whoever holds an old number changed nothing (I3)."""
        rows = [(self.store.tasks.get(change.task_id), change.lease_no) for change in batch]
        before = [(row, _touched(row)) for row, lease_no in rows if row is not None and row.lease_no != lease_no]

        def check() -> None:
            for row, was in before:
                if _touched(row) != was:
                    broken("I3", row, f"a stale worker changed {was} to {_touched(row)}")

        return check


def _touched(row: TaskRow) -> tuple[object, ...]:
    return row.state, row.event_seq, row.next_check_at, len(row.trail)
