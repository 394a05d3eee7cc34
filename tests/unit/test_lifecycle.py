"""The table, and the one constructor that takes its word for everything."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from common.core.errors import IllegalTransition
from common.core.lifecycle import KINDS, RULES, Ask, edges, move, rule_for
from common.core.task import LEASED, TERMINAL, State
from tests.unit.core_examples import SOON, plan, task

ASK = Ask(digest="d", requested_by=UUID(int=1), expires_in=SOON)
MADE = [(kind, source, target) for kind, source, target in sorted(edges(), key=str) if source is not None]


def test_nothing_leaves_a_terminal_state() -> None:
    """What is over stays over."""
    assert not [rule.kind for rule in RULES if rule.sources & TERMINAL]


def test_every_live_state_can_be_reached_and_left() -> None:
    """I9: no state is a dead end but the terminal ones, and a person can cancel in any of them."""
    for state in State:
        assert any(state in rule.targets for rule in RULES), state
        if state not in TERMINAL:
            assert rule_for("cancelled", state, State.CANCELLED).kind == "cancelled"


def test_a_kind_and_its_states_name_one_row() -> None:
    """No event can be read in two ways."""
    rows = [(r.kind, s, t) for r in RULES for s in r.sources for t in r.targets]
    assert len(rows) == len(set(rows)) == len(edges())


@pytest.mark.parametrize(("kind", "source", "target"), MADE)
def test_every_row_can_be_moved_along(kind: str, source: State, target: State) -> None:
    """I2, I3, I9: guards, next look and counters of each transition are the table's."""
    made = move(task(source), kind, target, None if target in TERMINAL else SOON, "system")
    assert (made.kind, made.source, made.target, made.lease_no) == (kind, source, target, 3)
    assert (made.check_in is None) == (target in TERMINAL)
    guarded = source not in LEASED or source is target
    assert made.event_seq == (5 if guarded else None)
    rule = rule_for(kind, source, target)
    assert (made.costs_attempt, made.resets_attempts) == (rule.costs_attempt, rule.resets_attempts)


@pytest.mark.parametrize("source", list(State))
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_other_row_can_be_made(kind: str, source: State) -> None:
    """I2: what the table does not have cannot be constructed."""
    for target in set(State) - {t for k, s, t in edges() if (k, s) == (kind, source)}:
        with pytest.raises(IllegalTransition):
            move(task(source), kind, target, None if target in TERMINAL else SOON, "system")


def test_an_unknown_kind_is_no_transition() -> None:
    """A typing error does not become an event."""
    with pytest.raises(IllegalTransition):
        move(task(), "suceeded", State.SUCCEEDED, None, "execute")


def test_a_live_state_has_a_next_look_and_an_ended_one_has_none() -> None:
    """I9: a transition that forgets it, or has one too many, cannot be made."""
    with pytest.raises(IllegalTransition):
        move(task(), "gave_up", State.MANUAL, None, "execute")
    with pytest.raises(IllegalTransition):
        move(task(), "succeeded", State.SUCCEEDED, timedelta(0), "execute")


@pytest.mark.parametrize(
    ("kind", "source", "closes"),
    [
        ("rejected", State.AWAITING_APPROVAL, True),
        ("approval_expired", State.AWAITING_APPROVAL, True),
        ("replanned", State.RUNNING, True),
        ("reanalyzed", State.MANUAL, True),
        ("cancelled", State.QUEUED, True),
        ("approved", State.AWAITING_APPROVAL, False),
        ("gave_up", State.RUNNING, False),
        ("retry_planned", State.RUNNING, False),
        ("retried", State.MANUAL, False),
        ("lease_lost", State.RUNNING, False),
    ],
)
def test_an_approval_is_closed_when_the_wait_ends_for_good(kind: str, source: State, *, closes: bool) -> None:
    """I4: approved and still to run keeps it open; anything else that ends the wait closes it."""
    target = next(t for k, s, t in MADE if (k, s) == (kind, source))
    made = move(task(source), kind, target, None if target in TERMINAL else SOON, "system")
    assert made.closes_approval is closes


def test_a_new_plan_without_a_question_closes_the_approval_of_the_old_one() -> None:
    """I4: what was approved was another plan; a new question replaces it in the store."""
    waiting = task(State.AWAITING_APPROVAL)
    freed = move(waiting, "reassessed", State.QUEUED, SOON, "schedule", plan=plan(number=2))
    asked = move(waiting, "reassessed", State.AWAITING_APPROVAL, SOON, "schedule", plan=plan(number=2), ask=ASK)
    assert (freed.closes_approval, asked.closes_approval) == (True, False)


@pytest.mark.parametrize("kind", ["retried", "reanalyzed", "outcome_given"])
def test_a_person_resets_replans(kind: str) -> None:
    """At most 3 replans since a person last acted."""
    target = next(t for k, s, t in MADE if k == kind and t not in TERMINAL)
    assert move(task(State.MANUAL), kind, target, SOON, "person").resets_replans
    assert not move(task(), "replanned", State.RECEIVED, SOON, "execute").resets_replans
