"""What the database itself refuses, whoever asks: plans, approvals, decisions and attempts, tried as their owner."""

# ruff: noqa: ISC004 - its tables have long lines

from __future__ import annotations

import pytest

from common.core.task import State
from tests.contract.ground import Ground
from tests.integration.refusals import Refuses, refuses
from tests.postgres import Place

__all__ = ["refuses"]  # a fixture


@pytest.mark.parametrize(
    ("constraint", "sql"),
    [
        ("plans_immutable", "UPDATE plans SET steps = '[]' WHERE task_id = $1::uuid"),
        ("plans_immutable", "DELETE FROM plans WHERE task_id = $1::uuid"),
        ("plans_never_below_the_floor", "INSERT INTO plans SELECT task_id, 2, steps, last_step, 'high', 'low', "
            "reasons, "
         "needs_approval, kept_steps, cost_cap, policy_version, source FROM plans WHERE task_id = $1::uuid"),
        ("plans_pkey", "INSERT INTO plans SELECT * FROM plans WHERE task_id = $1::uuid"),
        ("plans_number", "INSERT INTO plans SELECT task_id, 0, steps, last_step, 'low', 'low', reasons, "
            "needs_approval, "
         "kept_steps, cost_cap, policy_version, source FROM plans WHERE task_id = $1::uuid"),
    ],
)  # fmt: skip
def test_a_plan_is_written_once_and_never_below_its_floor(
    shared_ground: Ground, refuses: Refuses, constraint: str, sql: str
) -> None:
    """I5: risk moves one way, and what was approved stays what it was."""
    refuses(constraint, sql, shared_ground.submit().id)


def test_one_approval_is_open_at_a_time(shared_ground: Ground, refuses: Refuses) -> None:
    """I4: what waits is one thing."""
    task = shared_ground.submit(State.AWAITING_APPROVAL)
    sql = (
        "INSERT INTO approvals (task_id, plan_number, digest, requested_by, expires_at) "
        "SELECT task_id, plan_number, digest, requested_by, expires_at FROM approvals WHERE task_id = $1::uuid"
    )
    refuses("approvals_one_open", sql, task.id)


DECISION = (
    "INSERT INTO decisions (approval_id, person, requested_by, self_allowed, verdict, digest, issued_by) "
    "SELECT id, {person}, {requested_by}, {allowed}, {verdict}, digest, {issuer} FROM approvals "
    "WHERE task_id = $1::uuid"
)


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("decisions_not_by_the_requester", {"person": "requested_by"}),
        ("decisions_not_by_the_requesters_token", {"issuer": "requested_by"}),
        ("decisions_of_this_requester", {"requested_by": "$2::uuid", "allowed": "true"}),
        ("decisions_verdict", {"verdict": "'maybe'"}),
        ("decisions_person_fkey", {"person": "uuidv7()"}),
        ("", {"allowed": "NULL"}),
    ],
)
def test_a_decision_names_who_asked_and_is_not_theirs(
    shared_ground: Ground, refuses: Refuses, constraint: str, fields: dict[str, str]
) -> None:
    """I4: nobody approves what they asked for, unless the settings said so; and the requester cannot be made up."""
    task = shared_ground.submit(State.AWAITING_APPROVAL)
    decider = f"'{shared_ground.decides.id}'::uuid"
    shape = {
        "person": decider,
        "requested_by": "requested_by",
        "allowed": "false",
        "verdict": "'approved'",
        "issuer": "NULL",
    } | fields
    sql = DECISION.format(**shape)
    refuses(constraint, sql, task.id, *([shared_ground.decides.id] if "$2" in sql else []))


def test_a_person_decides_once(shared_ground: Ground, refuses: Refuses, postgres_module: Place) -> None:
    """I4: one person is one voice."""
    task = shared_ground.submit(State.AWAITING_APPROVAL)
    assert shared_ground.decide(task)
    sql = DECISION.format(
        person=f"'{shared_ground.decides.id}'::uuid",
        requested_by="requested_by",
        allowed="false",
        verdict="'approved'",
        issuer="NULL",
    )
    refuses("decisions_once", sql, task.id)
    for change in ("UPDATE decisions SET verdict = 'rejected'", "DELETE FROM decisions"):
        refuses("decisions_immutable", change)
    assert postgres_module.owner.run("SELECT 1 FROM decisions WHERE verdict = 'approved'")


ATTEMPT = (
    "INSERT INTO step_attempts (task_id, step_id, number, plan_number, lease_no, effect, idempotency_key, args_sha256, "
    "needed_approval, must_end_by, ended_at, outcome) "
    "VALUES ($1::uuid, 'one', {number}, 1, 1, '{effect}', 'k', 's', {needed}, now(), {ended}, {outcome})"
)


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("attempts_under_approval", {"needed": "true"}),
        ("attempts_ended", {"outcome": "'done'"}),
        ("attempts_ended", {"ended": "now()"}),
        ("attempts_outcome", {"outcome": "'perhaps'", "ended": "now()"}),
        ("attempts_effect", {"effect": "magic"}),
        ("attempts_number", {"number": "0"}),
    ],
)
def test_an_attempt_is_whole(shared_ground: Ground, refuses: Refuses, constraint: str, fields: dict[str, str]) -> None:
    """I4, I6: none begins above the threshold without an approval; an end has an outcome and a time, or neither."""
    shape = {"number": "1", "effect": "idempotent", "needed": "false", "ended": "NULL", "outcome": "NULL"} | fields
    refuses(constraint, ATTEMPT.format(**shape), shared_ground.running().id)


@pytest.mark.parametrize(
    ("effect", "outcome", "again"),
    [
        ("idempotent", "NULL", False),
        ("non_idempotent", "NULL", False),
        ("idempotent", "'done'", False),
        ("non_idempotent", "'done'", False),
        ("non_idempotent", "'unknown'", False),
        ("idempotent", "'unknown'", True),
        ("non_idempotent", "'not_done'", True),
    ],
)
def test_what_may_have_happened_is_not_begun_again(
    shared_ground: Ground,
    refuses: Refuses,
    postgres_module: Place,
    effect: str,
    outcome: str,
    again: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    """I6: open, done, or unknown and not idempotent: no second attempt of that step, whoever wants it."""
    task = shared_ground.running()
    ended = "NULL" if outcome == "NULL" else "now()"
    first = ATTEMPT.format(number="1", effect=effect, needed="false", ended=ended, outcome=outcome)
    second = ATTEMPT.format(number="2", effect=effect, needed="false", ended="NULL", outcome="NULL")
    postgres_module.owner.run(first, str(task.id))
    if again:
        postgres_module.owner.run(second, str(task.id))
    else:
        refuses("attempts_never_again", second, task.id)
