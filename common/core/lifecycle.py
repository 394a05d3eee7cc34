"""THE lifecycle table, and the one constructor of a transition.

The CHECK in the database, the drawing in the docs, the simulator's moves and the message catalogue are made from
`RULES` or held to it by a test. Pure: time comes in as durations, which SQL adds to PostgreSQL's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from common.core.errors import IllegalTransition
from common.core.task import TERMINAL, Failure, Json, OutcomeKind, Plan, State, Task

# A worker aborts an attempt at its `must_end_by`, and its outcome may still be under way: so long nobody else speaks
# for it, whatever the lease says.
GRACE: Final = timedelta(seconds=5)

R, AN, AW, Q, RU, M, S, C = State  # in the order of the enum: the table below stays readable


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of event: where it may start (None: intake), where it may lead, and when it happens."""

    kind: str
    sources: frozenset[State | None]
    targets: frozenset[State]
    when: str
    costs_attempt: bool = False
    resets_attempts: bool = False


def _rule(
    kind: str, sources: set[State | None], targets: set[State], when: str, *, costs: bool = False, resets: bool = False
) -> Rule:
    return Rule(kind, frozenset(sources), frozenset(targets), when, costs, resets)


RULES: Final = (
    _rule("submitted", {None}, {R, Q, AW}, "intake; with a typed or known plan policy decides in the same statement"),
    _rule("analysis_started", {R}, {AN}, "claimed by analyze"),
    _rule("deferred", {R, AN}, {R}, "no budget, rate limit, provider down or paused: later, by name"),
    _rule("batched", {AN}, {AN}, "parked on a provider's batch, without a lease"),
    _rule("plan_decided", {R, AN}, {Q, AW}, "policy has assessed the plan", resets=True),
    _rule("analysis_failed", {R, AN}, {M}, "nothing usable, attempts spent, or the deadline passed"),
    _rule("approved", {AW}, {Q}, "a person decided"),
    _rule("rejected", {AW}, {C}, "a person decided"),
    _rule("approval_expired", {AW}, {M}, "nobody decided in time, or the deadline passed"),
    _rule("reassessed", {AW}, {AW, Q}, "policy changed"),
    _rule("started", {Q}, {RU}, "claimed by execute"),
    _rule("approval_needed", {RU}, {AW}, "no valid approval at the gate, or resolved arguments outgrow it"),
    _rule("snoozed", {RU}, {Q}, "wait, paused or no budget; costs no attempt"),
    _rule("retry_planned", {RU}, {Q}, "not done, transient: backoff with full jitter, no paid call", costs=True),
    _rule("replanned", {RU}, {R}, "not done, permanent, and there is text and a model to ask"),
    _rule("succeeded", {RU}, {S}, "last step done"),
    _rule("gave_up", {RU}, {M}, "attempts or replans spent, effect unknown, not installed, too large, or deadline"),
    _rule("released", {AN}, {R}, "drain, or a batch without an answer; costs no attempt"),
    _rule("released", {RU}, {Q}, "drain; costs no attempt"),
    _rule("lease_lost", {AN}, {R, M}, "rescue; costs an attempt", costs=True),
    _rule("lease_lost", {RU}, {Q, M}, "rescue; costs an attempt; an open non-idempotent attempt: manual", costs=True),
    _rule("retried", {M}, {Q, AW}, "a person; queued only below the threshold or under an approval", resets=True),
    _rule("reanalyzed", {M}, {R}, "a person", resets=True),
    _rule("resolved", {M}, {S}, "a person, with a note and a result"),
    _rule("outcome_given", {M}, {Q, AW, S}, "a person says what an unknown attempt did", resets=True),
    _rule("cancelled", {R, AN, AW, Q, RU, M}, {C}, "a person; while running a request until no attempt is open"),
)


def edges() -> frozenset[tuple[str, State | None, State]]:
    """Every (kind, from, to) that may ever be written; the database's CHECK is this set."""
    return frozenset(RULE_OF)


KINDS: Final = frozenset(rule.kind for rule in RULES)
PEOPLE_RESET_REPLANS: Final = frozenset({"retried", "reanalyzed", "outcome_given"})  # "since a person last acted"
RULE_OF: Final = {(r.kind, source, target): r for r in RULES for source in r.sources for target in r.targets}


def rule_for(kind: str, source: State | None, target: State) -> Rule:
    """The row of the table. IllegalTransition if there is none."""
    rule = RULE_OF.get((kind, source, target))
    if rule is None:
        raise IllegalTransition(kind, source, target)
    return rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Opens an approval in the commit that begins the wait; any open one of the task is closed (`replaced`)."""

    digest: str
    requested_by: UUID
    required: int = 1
    expires_in: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An attempt's end. `number` None: a step of effect `none`, never begun on record; its row is made whole now."""

    step_id: str
    number: int | None
    outcome: OutcomeKind
    output: Json = None
    failure: Failure | None = None
    decided_by: str | None = None  # the person who said what an unknown attempt did


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """What an event remembers besides its columns; may be erased later, its hash stays."""

    note: str | None = None
    failure: Failure | None = None
    data: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A state change about to be applied, with everything that is written in the same commit."""

    task_id: UUID
    kind: str
    source: State  # guard: the row is still in this state
    lease_no: int  # guard: and nobody has claimed it since (I3)
    event_seq: int | None  # guard where there is no lease, or the state stays: nothing else happened since
    target: State
    check_in: timedelta | None  # from the database's clock; None only into a terminal state (I9)
    actor: str
    detail: Detail = Detail()
    waiting_for: str | None = None
    wait_until: timedelta | None = None  # snoozed by a `wait` step: stored as an absolute time of PostgreSQL's clock
    only_if_due: bool = False  # guard: `next_check_at` has passed by the database's clock, read after the lock
    costs_attempt: bool = False
    resets_attempts: bool = False
    resets_replans: bool = False
    plan: Plan | None = None
    kind_of_task: str | None = None
    priority: int | None = None  # Claude's, where the requester gave none
    batch: UUID | None = None  # the call that it is parked on; any other transition takes it off
    economy: bool | None = None  # False: it will be read at once, at the full price
    ask: Ask | None = None
    ended: Ended | None = None
    closes_approval: bool = False  # the wait for a person ends for good; approved and still to run keeps it open


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """The step is done and another follows: the task stays `running` under its lease; no event."""

    task_id: UUID
    lease_no: int
    ended: Ended


def move(  # noqa: PLR0913 - the one constructor: what a transition may carry is its argument list
    task: Task,
    kind: str,
    target: State,
    check_in: timedelta | None,
    actor: str,
    *,
    detail: Detail = Detail(),
    waiting_for: str | None = None,
    wait_until: timedelta | None = None,
    only_if_due: bool = False,
    plan: Plan | None = None,
    kind_of_task: str | None = None,
    priority: int | None = None,
    batch: UUID | None = None,
    economy: bool | None = None,
    ask: Ask | None = None,
    ended: Ended | None = None,
) -> Transition:
    """The only way to a Transition. IllegalTransition if the table has no such row, or I9 would break."""
    rule = rule_for(kind, task.state, target)
    if (check_in is None) != (target in TERMINAL):
        raise IllegalTransition(kind, task.state, target)
    leased = task.state is RU or (task.state is AN and task.batch is None)
    closes = (
        target in TERMINAL
        or kind in {"approval_expired", "reanalyzed", "replanned"}
        or (plan is not None and ask is None)
    )
    return Transition(
        task_id=task.id,
        kind=kind,
        source=task.state,
        lease_no=task.lease_no,
        event_seq=None if leased and target is not task.state else task.event_seq,
        target=target,
        check_in=check_in,
        actor=actor,
        detail=detail,
        waiting_for=waiting_for,
        wait_until=wait_until,
        only_if_due=only_if_due,
        costs_attempt=rule.costs_attempt,
        resets_attempts=rule.resets_attempts,
        resets_replans=kind in PEOPLE_RESET_REPLANS,
        plan=plan,
        kind_of_task=kind_of_task,
        priority=priority,
        batch=batch,
        economy=economy,
        ask=ask,
        ended=ended,
        closes_approval=closes,
    )
