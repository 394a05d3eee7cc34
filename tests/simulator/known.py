"""What the oracle knows of a task, by which it sees what a commit changed; and what it says of what must not be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from operator import is_not
from typing import NoReturn

from common.adapters.memory.rows import AttemptRow, TaskRow
from common.adapters.memory.store import event_hash
from common.core.lifecycle import PEOPLE_RESET_REPLANS, RULE_OF
from common.core.task import Event, OutcomeKind, Plan, State

CLAIMS = frozenset({"started", "analysis_started"})


class Violation(BaseException):
    """An invariant does not hold. No `Exception`: the product may swallow those of its plug-ins."""


def broken(name: str, row: TaskRow, why: str) -> NoReturn:
    """Of this task an invariant does not hold. Asked for only then: words for what holds would cost a third of all."""
    raise Violation(f"{name}: {row.id.hex[-6:]}: {why}")


@dataclass(slots=True)
class Chain:
    """A task's events as read one after another: what they add up to."""

    state: State | None = None
    events: int = 0
    attempts: int = 0
    replans: int = 0
    claims: int = 0
    head: str = ""
    read: list[Event] = field(default_factory=list)

    def follows(self, row: TaskRow, event: Event) -> None:
        """The next one continues it by a transition that there is, and nobody altered it (I2)."""
        source = self.state
        rule = RULE_OF.get((event.kind, event.from_state, event.to_state))
        if rule is None:
            broken("I2", row, f"no such transition: {event.kind}")
        if event.from_state is not source:
            broken("I2", row, f"{event.kind} from {event.from_state}, it was {source}")
        if event.seq != self.events + 1:
            broken("I2", row, "a gap in the history")
        if event.hash != event_hash(event, self.head):
            broken("I2", row, "the chain is broken")
        if source is not None:
            self.attempts = 0 if rule.resets_attempts else self.attempts + rule.costs_attempt
            self.replans = 0 if event.kind in PEOPLE_RESET_REPLANS else self.replans + (event.kind == "replanned")
        self.claims += event.kind in CLAIMS
        self.state, self.events, self.head = event.to_state, event.seq, event.hash
        self.read.append(event)

    def stands(self, row: TaskRow, events: Sequence[Event]) -> None:
        """The same events as were read, in the same order. They are frozen: only a detail could be another (I2)."""
        if len(events) != self.events or any(map(is_not, events, self.read)):
            broken("I2", row, "events took the place of others")
        for before, event in pairwise(events):  # the first has none
            if event.detail and event.hash != event_hash(event, before.hash):
                broken("I2", row, "the chain is broken")
        self.is_of(row)

    def is_of(self, row: TaskRow) -> None:
        """The row is what its events add up to (I2, I3), its counters too."""
        if self.state is not row.state:
            broken("I2", row, f"state {row.state} differs from its last event")
        if (self.events, self.head) != (row.event_seq, row.event_head):
            broken("I2", row, "head differs from its last event")
        if row.attempts != self.attempts:
            broken("counters", row, f"attempts {row.attempts}, events say {self.attempts}")
        if row.replans != self.replans:
            broken("counters", row, f"replans {row.replans}, events say {self.replans}")
        if row.lease_no != self.claims:
            broken("I3", row, f"lease {row.lease_no} after {self.claims} claims")


@dataclass(slots=True)
class Known:
    """A task as it was after the last commit that changed it."""

    row: TaskRow
    chain: Chain = field(default_factory=Chain)
    since: datetime | None = None
    plan: Plan | None = None
    outcomes: dict[tuple[str, int], OutcomeKind | None] = field(default_factory=dict)
    ends_by: dict[tuple[str, int], datetime] = field(default_factory=dict)
    next_check_at: datetime | None = None
    batch: object = None

    def is_as_seen(self) -> bool:
        """Whether nothing that a check looks at has changed since."""
        row, chain = self.row, self.chain
        return (
            row.event_seq == chain.events
            and row.next_check_at is self.next_check_at
            and row.lease_no == chain.claims
            and row.state is chain.state
            and row.plan is self.plan
            and row.attempts == chain.attempts
            and row.replans == chain.replans
            and row.batch is self.batch
            and len(row.trail) == len(self.outcomes)
            and (not row.trail or [attempt.outcome for attempt in row.trail] == [*self.outcomes.values()])
        )

    def saw(self) -> None:
        """All of it held."""
        row = self.row
        self.since, self.next_check_at, self.batch = row.since, row.next_check_at, row.batch

    def saw_attempt(self, attempt: AttemptRow) -> None:
        """One of its attempts did."""
        key = (attempt.step_id, attempt.number)
        self.outcomes[key], self.ends_by[key] = attempt.outcome, attempt.must_end_by
