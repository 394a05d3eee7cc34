"""What must always hold, told apart from the code that makes it hold: looked at after every commit and every effect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from common.actions.contract import is_ref
from common.adapters.memory.rows import GRACE, AttemptRow, TaskRow
from common.adapters.memory.store import MemoryStore, event_hash
from common.core.digest import args_sha256
from common.core.lifecycle import PEOPLE_RESET_REPLANS, NextStep, Transition, edges, rule_for
from common.core.task import LEASED, TERMINAL, Effect, Event, OutcomeKind, Plan, Risk, State, Step, highest
from common.ports import Begin, Begun, NotBegun
from tests.simulator.far_side import FarSide
from tests.simulator.readings import Readings
from tests.simulator.violation import Violation, hold as _hold

EDGES = edges()
CLAIMS = frozenset({"started", "analysis_started"})
DAY = timedelta(hours=24)
BATCH_LASTS = timedelta(hours=25)
ENDS_GRANT = frozenset({"approval_needed", "replanned", "reanalyzed", "approval_expired", "plan_decided"})


@dataclass(slots=True)
class Known:
    """What the oracle has seen of a task."""

    state: State
    events: int = 0
    attempts: int = 0
    replans: int = 0
    lease_no: int = 0
    since: datetime | None = None
    head: str = ""
    plan: Plan | None = None
    outcomes: dict[tuple[str, int], OutcomeKind | None] = field(default_factory=dict)
    ends_by: dict[tuple[str, int], datetime] = field(default_factory=dict)
    print: object = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person said yes to: exactly these steps, at this risk, at this time."""

    number: int
    steps: tuple[Step, ...]
    risk: Risk
    until: datetime


@dataclass(slots=True)
class Oracle:
    """Sees every commit, and every effect at the far side."""

    store: MemoryStore
    readings: Readings
    acknowledged: set[UUID] = field(default_factory=set)
    claims: dict[UUID, Risk] = field(default_factory=dict)  # the highest that a model said of what became a plan
    grants: dict[UUID, Grant] = field(default_factory=dict)
    held: dict[tuple[UUID, int], Plan | None] = field(default_factory=dict)  # what a worker has in its hand
    tampered: set[UUID] = field(default_factory=set)
    known: dict[UUID, Known] = field(default_factory=dict)

    # --- commits --------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """After a commit: every task that changed."""
        for row in self.store.tasks.values():
            known = self.known.get(row.id)
            seen = _print(row)
            if known is not None and known.print == seen:
                continue
            if known is None:
                known = self.known[row.id] = Known(State.RECEIVED)
            self._events(row, known)
            self._columns(row, known)
            self._attempts(row, known)
            self._plan(row, known)
            self._approvals(row)
            known.state, known.lease_no, known.since, known.print = row.state, row.lease_no, row.since, seen

    def _events(self, row: TaskRow, known: Known) -> None:
        events = self.store.events.get(row.id, [])
        new = events[known.events :]
        _hold(len(new) <= 1, "I2", row, "two events in one commit")
        for event in new:
            self._event(row, known, event)
        last = events[-1] if events else None
        _hold(last is not None, "I2", row, "a task without an event")
        if last is not None:
            _hold(last.to_state is row.state, "I2", row, f"state {row.state} differs from its last event")
            _hold(
                (last.seq, last.hash) == (row.event_seq, row.event_head), "I2", row, "head differs from its last event"
            )
        _hold(row.attempts == known.attempts, "counters", row, f"attempts {row.attempts}, events say {known.attempts}")
        _hold(row.replans == known.replans, "counters", row, f"replans {row.replans}, events say {known.replans}")
        claims = known.lease_no + sum(e.kind in CLAIMS for e in new)
        _hold(row.lease_no == claims, "I3", row, f"lease {row.lease_no} after {claims} claims")
        known.events = len(events)

    def _event(self, row: TaskRow, known: Known, event: Event) -> None:
        source = known.state if known.events else None
        _hold((event.kind, event.from_state, event.to_state) in EDGES, "I2", row, f"no such transition: {event.kind}")
        _hold(event.from_state is source, "I2", row, f"{event.kind} from {event.from_state}, it was {source}")
        _hold(event.seq == known.events + 1, "I2", row, "a gap in the history")
        sealed = event.hash
        _hold(sealed == event_hash(event, known.head), "I2", row, "the chain is broken")
        known.head = sealed
        if source is not None:
            rule = rule_for(event.kind, source, event.to_state)
            known.attempts = 0 if rule.resets_attempts else known.attempts + rule.costs_attempt
            known.replans = 0 if event.kind in PEOPLE_RESET_REPLANS else known.replans + (event.kind == "replanned")
        if source is State.RUNNING and event.actor == "schedule":
            flying = [k for k, end in known.ends_by.items() if known.outcomes[k] is None and end + GRACE > event.at]
            _hold(not flying, "I6", row, f"rescued while {flying} may be in flight")
        if event.kind in ENDS_GRANT or event.to_state in TERMINAL or event.to_state is State.AWAITING_APPROVAL:
            self.grants.pop(row.id, None)

    def _columns(self, row: TaskRow, known: Known) -> None:
        ended = row.state in TERMINAL
        _hold(ended == (row.next_check_at is None), "I9", row, f"{row.state} is looked at again: {row.next_check_at}")
        _hold(ended == (row.finished_at is not None), "I9", row, f"{row.state} finished at {row.finished_at}")
        leased = row.state in LEASED and row.batch is None
        _hold((row.worker is not None) == leased, "I3", row, f"{row.state} held by {row.worker}, parked on {row.batch}")
        if row.batch is not None:
            self._parked(row, known)

    def _parked(self, row: TaskRow, known: Known) -> None:
        """It waits for a batch that is on record, by name, and not for ever."""
        _hold(row.state is State.ANALYZING, "I3", row, f"parked while {row.state}")
        _hold(row.batch in self.store.batches, "I9", row, "parked on a batch that is not on record")
        _hold(row.waiting_for == "provider", "I9", row, f"parked, and waits for {row.waiting_for}")
        room = BATCH_LASTS if row.next_check_at is None else row.next_check_at - row.since
        _hold(room <= BATCH_LASTS, "I9", row, f"parked for {room}")
        # As seen by whoever parked it, who may have stood still since; not before the transition before this one.
        left = BATCH_LASTS * 2 if row.request.deadline is None else row.request.deadline - (known.since or row.since)
        _hold(room < left, "I9", row, f"parked for {room}, to be done in {left}")

    def _attempts(self, row: TaskRow, known: Known) -> None:
        claimed: set[str] = set()
        for attempt in row.trail:
            key = (attempt.step_id, attempt.number)
            before = known.outcomes.get(key)
            settled = before in {OutcomeKind.DONE, OutcomeKind.NOT_DONE}
            _hold(not settled or attempt.outcome is before, "I6", row, f"{key} was {before}, is {attempt.outcome}")
            _hold(attempt.outcome is not None or row.state is State.RUNNING, "I6", row, f"{key} open in {row.state}")
            _hold(not attempt.needed_approval or attempt.approval_id is not None, "I4", row, f"{key} without approval")
            if attempt.claims_the_step:
                _hold(attempt.step_id not in claimed, "I6", row, f"two attempts hold step {attempt.step_id}")
                claimed.add(attempt.step_id)
            known.outcomes[key] = attempt.outcome
            known.ends_by[key] = attempt.must_end_by

    def _plan(self, row: TaskRow, known: Known) -> None:
        plan, earlier = row.plan, known.plan
        if plan is None or plan is earlier:
            return
        known.plan = plan
        _hold(plan.number == (earlier.number + 1 if earlier else 1), "I2", row, f"plan {plan.number} is not the next")
        self.readings.look(row, plan, earlier)
        self.claims[row.id] = highest(self.claims.get(row.id, Risk.LOW), self.readings.claim_of(row, plan))
        risk = self.risk(row.id, plan.steps, earlier)
        _hold(plan.risk.rank >= risk.rank, "I5", row, f"plan {plan.number} is {plan.risk}, must be {risk}")
        self.readings.permitted(row, plan, risk)
        if earlier is not None:
            kept = [s for s in earlier.steps if any(a.step_id == s.id and _may_be(a) for a in row.trail)]
            _hold(list(plan.steps[: len(kept)]) == kept, "I6", row, "what is done or unknown was not kept in front")

    def risk(self, task: UUID, steps: Sequence[Step], earlier: Plan | None = None) -> Risk:
        """What it must be at least: floors, whatever the model ever said, and the plan before."""
        floors = [Risk(str(step.args.get("risk", "low"))) for step in steps if step.action == "act"]
        return highest(*floors, self.claims.get(task, Risk.LOW), earlier.risk if earlier else Risk.LOW)

    def _approvals(self, row: TaskRow) -> None:
        open_ = [a for a in self.store.approvals.get(row.id, []) if a.closed_at is None]
        _hold(len(open_) <= 1, "I4", row, "two open approvals")
        _hold(not open_ or row.state not in TERMINAL, "I4", row, "an approval outlives its task")
        if row.state is State.AWAITING_APPROVAL and row.plan is not None:
            _hold([a.plan_number for a in open_] == [row.plan.number], "I4", row, "waits without an approval to give")

    # --- the fencing token, the gate, effects -------------------------------------------------------------------

    def stale(self, batch: Sequence[Transition | NextStep]) -> Callable[[], None]:
        """Before `apply`: a check for after it, that whoever holds an old number changed nothing (I3)."""
        rows = [(self.store.tasks.get(change.task_id), change.lease_no) for change in batch]
        stale = [row for row, lease_no in rows if row is not None and row.lease_no != lease_no]
        before = [(row, row.state, row.event_seq, row.next_check_at, len(row.trail)) for row in stale]

        def check() -> None:
            for row, *was in before:
                now = [row.state, row.event_seq, row.next_check_at, len(row.trail)]
                _hold(was == now, "I3", row, f"a stale worker changed {was} to {now}")

        return check

    def begun(self, wanted: Sequence[Begin], answers: Sequence[Begun | NotBegun], alive: Sequence[bool]) -> None:
        """After the gate: each attempt that may run, looked at without the gate's own eyes (I3, I4, I5, I6)."""
        for begin, answer, lease_held in zip(wanted, answers, alive, strict=True):
            if isinstance(answer, NotBegun):
                continue
            row = self.store.tasks[begin.task_id]
            _hold(lease_held, "I3", row, "began without a lease")
            _hold(row.cancel_requested_at is None, "cancel", row, "began after a cancel was acknowledged")
            _hold(not self.store.paused(row.workspace), "pause", row, "began while paused")
            self._permitted(row, begin)

    def _permitted(self, row: TaskRow, begin: Begin) -> None:
        plan = self.held.get((row.id, begin.lease_no))
        if plan is None:
            raise Violation(f"I4: {row.id} began without a plan in hand")
        value = self.store.settings[row.workspace, "policy"].value
        autorun = Risk(str(value["autorun"])) if isinstance(value, dict) else Risk.LOW
        risk = self.risk(row.id, plan.steps)
        if risk.rank <= autorun.rank and not any(reason.asks for reason in plan.reasons):
            return
        grant = self.grants.get(row.id)
        _hold(grant is not None, "I4", row, f"{risk} began without anybody's yes")
        if grant is None:
            return
        _hold((grant.number, grant.steps) == (plan.number, plan.steps), "I4", row, "other steps were approved")
        _hold(grant.until > self.store.now, "I4", row, f"the yes was valid until {grant.until}")
        _hold(grant.risk.rank >= risk.rank, "I5", row, f"{grant.risk} was approved, it is {risk}")
        step = next(s for s in grant.steps if s.id == begin.step_id)
        if not any(is_ref(value) for value in step.args.values()):
            same = begin.args_sha256 == args_sha256(step.action, step.args)
            _hold(same, "I4", row, "other arguments than the approved ones")

    def effect(self, what: str, key: str, effect: Effect, far: FarSide) -> None:
        """At the far side, as an effect happens: it is on record, and no blind repetition (I6)."""
        rows = [(row, a) for row in self.store.tasks.values() for a in row.trail if a.idempotency_key == key]
        if not any(attempt.outcome is None for _, attempt in rows):
            raise Violation(f"I6: {what} happens, and no open attempt is on record")
        if effect is Effect.NON_IDEMPOTENT and far.effects[what]:
            raise Violation(f"I6: {what} happens a second time")
        if effect is Effect.IDEMPOTENT and far.keys.get(what, {key}) != {key}:
            raise Violation(f"I6: {what} happens under a second key")

    def all_there(self) -> None:
        """I1: what was acknowledged is there."""
        lost = self.acknowledged - set(self.store.tasks)
        if lost:
            raise Violation(f"I1: {lost} were acknowledged and are gone")


def _may_be(attempt: AttemptRow) -> bool:
    return attempt.outcome is not OutcomeKind.NOT_DONE


def _print(row: TaskRow) -> object:
    outcomes = tuple(a.outcome for a in row.trail)
    return (
        row.event_seq,
        row.state,
        row.lease_no,
        row.next_check_at,
        row.attempts,
        row.replans,
        row.plan,
        row.batch,
        outcomes,
    )
