"""What the database itself refuses, whoever asks: each constraint of the data model is tried, as its owner."""

# ruff: noqa: S608, ISC004, ARG001 - composed of constants of this file, whose tables have long lines; a ground is needed

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from pg8000.exceptions import DatabaseError

from common.adapters.postgres.connection import Database, DataError
from common.core.lifecycle import edges
from common.core.task import State
from tests.contract.ground import Ground, gave_up, succeeded
from tests.postgres import Place

Refuses = Callable[..., None]
HASH = hashlib.sha256(b"secret").hexdigest()


@pytest.fixture
def refuses(postgres_module: Place) -> Refuses:
    """Runs a statement as the owner, and expects the named constraint (or trigger) to refuse it."""

    def run(constraint: str, sql: str, *params: object) -> None:
        with pytest.raises(DataError) as caught:
            postgres_module.owner.run(sql, *map(str, params))
        assert caught.value.constraint == constraint

    return run


# --- tasks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("constraint", "change"),
    [
        ("tasks_state", "state = 'paused', worker_id = NULL"),
        ("tasks_looked_at_again", "next_check_at = NULL"),
        ("tasks_finished_at", "finished_at = now()"),
        ("tasks_have_a_plan", "plan_number = NULL"),
        ("tasks_leased", "worker_id = NULL"),
        ("tasks_priority", "priority = 10"),
        ("tasks_lease_no", "lease_no = -1"),
        ("tasks_attempts", "attempts = -1"),
        ("tasks_replans", "replans = -1"),
        ("tasks_origin", "origin = 'dream'"),
        ("tasks_cancel_has_an_actor", "cancel_requested_at = now()"),
    ],
)
def test_a_running_task_cannot_be_bent(shared_ground: Ground, refuses: Refuses, constraint: str, change: str) -> None:
    """I3, I9: no state of a row contradicts itself."""
    held = shared_ground.running()
    refuses(constraint, f"UPDATE tasks SET {change} WHERE id = $1::uuid", held.id)


@pytest.mark.parametrize(
    ("constraint", "change"),
    [("tasks_looked_at_again", "next_check_at = now()"), ("tasks_finished_at", "finished_at = NULL")],
)
def test_a_finished_task_is_not_looked_at_again(
    shared_ground: Ground, refuses: Refuses, constraint: str, change: str
) -> None:
    """I9: terminal means finished, and never due."""
    held = shared_ground.running()
    assert shared_ground.apply(succeeded(held))
    refuses(constraint, f"UPDATE tasks SET {change} WHERE id = $1::uuid", held.id)


@pytest.mark.parametrize(
    "change",
    [
        "state = 'queued', worker_id = NULL",
        "event_seq = event_seq - 1",
        "event_head = '\\x00'",
        "event_seq = event_seq + 1",
        "workspace = uuidv7()",
    ],
)
def test_a_task_equals_its_last_event(shared_ground: Ground, refuses: Refuses, change: str) -> None:
    """I2: a state changes only with an event, in the same commit."""
    held = shared_ground.running()
    refuses("tasks_updated_with_event", f"UPDATE tasks SET {change} WHERE id = $1::uuid", held.id)


def test_a_task_is_not_born_without_its_event(shared_ground: Ground, refuses: Refuses) -> None:
    """I2: intake is a transition like any other."""
    held = shared_ground.submit(State.RECEIVED)
    refuses(
        "tasks_inserted_with_event",
        "INSERT INTO tasks (id, workspace, state, inputs, lang, requested_by, origin, priority, next_check_at, "
        "event_seq, "
        "event_head) SELECT uuidv7(), workspace, state, inputs, lang, requested_by, origin, priority, "
        "next_check_at, 1, "
        "event_head FROM tasks WHERE id = $1::uuid",
        held.id,
    )


def test_claim_order_is_computed_by_the_database(shared_ground: Ground, postgres_module: Place) -> None:
    """A level of priority is worth sixty seconds, and nobody can write it."""
    urgent = shared_ground.submit(priority=9)
    [[order]] = postgres_module.owner.run(
        "SELECT claim_order = next_check_at - timestamptz '2000-01-01 00:00:00+00' - interval '540 s' FROM tasks "
        "WHERE id = $1::uuid",
        str(urgent.id),
    )
    assert order
    with pytest.raises(DatabaseError, match="428C9"):
        postgres_module.owner.run("UPDATE tasks SET claim_order = '1 s' WHERE id = $1::uuid", str(urgent.id))


# --- history ----------------------------------------------------------------------------------------------------------

EVENT = (
    "INSERT INTO task_events (task_id, seq, workspace, kind, from_state, to_state, actor, lease_no, prev) "
    "SELECT id, {seq}, workspace, {kind}, {source}, {target}, 'x', 0, {prev} FROM tasks WHERE id = $1::uuid"
)


@pytest.mark.parametrize(
    ("constraint", "kind", "source", "target"),
    [
        ("events_lifecycle", "'succeeded'", "'queued'", "'succeeded'"),
        ("events_lifecycle", "'approved'", "'running'", "'queued'"),
        ("events_lifecycle", "'invented'", "'running'", "'queued'"),
        ("", "NULL", "'running'", "'queued'"),
        ("", "'snoozed'", "'running'", "NULL"),
        ("events_first", "'submitted'", "NULL", "'queued'"),
    ],
)
def test_history_knows_only_the_lifecycle_table(
    shared_ground: Ground, refuses: Refuses, constraint: str, kind: str, source: str, target: str
) -> None:
    """I2: an event that the table does not have cannot be written, nor one with a gap in it."""
    held = shared_ground.running()
    sql = EVENT.format(seq="event_seq + 1", kind=kind, source=source, target=target, prev="event_head")
    refuses(constraint, sql, held.id)


@pytest.mark.parametrize(
    ("constraint", "seq", "prev"),
    [("task_events_pkey", "event_seq", "event_head"), ("events_chained", "event_seq + 1", "NULL")],
)
def test_history_is_one_chain(shared_ground: Ground, refuses: Refuses, constraint: str, seq: str, prev: str) -> None:
    """I2: one event a number, each on the one before."""
    held = shared_ground.running()
    sql = EVENT.format(seq=seq, kind="'snoozed'", source="'running'", target="'queued'", prev=prev)
    refuses(constraint, sql, held.id)


def test_the_check_on_events_is_the_lifecycle_table(shared_ground: Ground, postgres_module: Place) -> None:
    """The migration's list is core/lifecycle.py's, no row more and none less."""
    owner = postgres_module.owner
    [[expression]] = owner.run(
        "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = 'events_lifecycle'"
    )
    states = [None, *State]
    kinds = sorted({kind for kind, _, _ in edges()} | {"invented"})
    rows = owner.run(
        f"SELECT kind, from_state, to_state FROM unnest($1::text[]) kind, unnest($2::text[]) from_state, "
        f"unnest($3::text[]) to_state WHERE {expression}",
        "{" + ",".join(kinds) + "}",
        "{" + ",".join("NULL" if s is None else s.value for s in states) + "}",
        "{" + ",".join(s.value for s in State) + "}",
    )
    assert {
        (kind, None if source is None else State(source), State(target)) for kind, source, target in rows
    } == edges()


@pytest.mark.parametrize(
    "change",
    ["actor = 'somebody else'", "at = now()", "kind = 'snoozed'", "lease_no = 7", "tx = '1'",
        "detail = '{\"note\": \"b\"}'",
     "prev = NULL", "detail_sha256 = '\\x00'"],
)  # fmt: skip
def test_history_is_not_rewritten(shared_ground: Ground, refuses: Refuses, change: str) -> None:
    """I2: of an event nothing can be changed."""
    task = shared_ground.manual()
    sql = f"UPDATE task_events SET {change} WHERE task_id = $1::uuid AND seq = 2"
    refuses("events_only_detail_is_erased", sql, task.id)


def test_history_is_not_deleted(shared_ground: Ground, refuses: Refuses) -> None:
    """I2: nor can an event be removed."""
    refuses("events_never_deleted", "DELETE FROM task_events WHERE task_id = $1::uuid", shared_ground.running().id)


def test_a_detail_belongs_to_its_hash(shared_ground: Ground, refuses: Refuses) -> None:
    """I2: what an event says is what was hashed."""
    held = shared_ground.running()
    sql = (
        "INSERT INTO task_events (task_id, seq, workspace, kind, from_state, to_state, actor, lease_no, prev, detail, "
        "detail_sha256) SELECT id, event_seq + 1, workspace, 'snoozed', 'running', 'queued', 'x', 0, event_head, '{}', "
        "'\\x00' FROM tasks WHERE id = $1::uuid"
    )
    refuses("events_detail_hashed", sql, held.id)


# --- plans, approvals, decisions --------------------------------------------------------------------------------------


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


# --- attempts
# -----------------------------------------------------------------------------------------------------------

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


# --- money, people, settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("constraint", "sql"),
    [
        ("budgets_reserved", "INSERT INTO budgets (month, cap, reserved) VALUES ('2026-01-01', 1, -1)"),
        ("budgets_spent", "INSERT INTO budgets (month, cap, spent) VALUES ('2026-01-01', 1, -1)"),
        ("budgets_month", "INSERT INTO budgets (month, cap) VALUES ('2026-01-02', 1)"),
        ("budgets_unique", "INSERT INTO budgets (month, cap) VALUES ('2026-02-01', 1), ('2026-02-01', 1)"),
        ("calls_reserved", "INSERT INTO calls (workspace, month, purpose, model, prompt_version, reserved, deadline) "
         "VALUES (uuidv7(), '2026-01-01', 'analysis', 'm', '1', 0, now())"),
        ("calls_state", "INSERT INTO calls (workspace, month, purpose, model, prompt_version, reserved, deadline, "
         "state, cost)"
         " VALUES (uuidv7(), '2026-01-01', 'analysis', 'm', '1', 1, now(), 'forgotten', 1)"),
        ("calls_cost_known", "INSERT INTO calls (workspace, month, purpose, model, prompt_version, reserved, deadline, "
         "cost) "
         "VALUES (uuidv7(), '2026-01-01', 'analysis', 'm', '1', 1, now(), 1)"),
    ],
)  # fmt: skip
def test_money_is_never_negative_nor_twice(shared_ground: Ground, refuses: Refuses, constraint: str, sql: str) -> None:
    """I7: no column of money goes below nothing, and a month has one row, the installation's (NULL) too."""
    refuses(constraint, sql)


@pytest.mark.parametrize(
    ("constraint", "sql"),
    [
        ("tokens_only_hashes", "INSERT INTO tokens (hash, kind, person, workspace, role) "
         "VALUES ('aiw_secret', 'api', $2::uuid, $1::uuid, 'admin')"),
        ("tokens_expire", "INSERT INTO tokens (hash, kind, person, workspace, role) "
         f"VALUES ('{HASH}', 'session', $2::uuid, $1::uuid, 'admin')"),
        ("tokens_expire", "INSERT INTO tokens (hash, kind, person, workspace, role) "
         f"VALUES ('{HASH}', 'sign_in_code', $2::uuid, $1::uuid, 'admin')"),
        ("tokens_kind", "INSERT INTO tokens (hash, kind, person, workspace, role, expires_at) "
         f"VALUES ('{HASH}', 'wish', $2::uuid, $1::uuid, 'admin', now())"),
        ("tokens_role", "INSERT INTO tokens (hash, kind, person, workspace, role) "
         f"VALUES ('{HASH}', 'api', $2::uuid, $1::uuid, 'god')"),
        ("memberships_role", "UPDATE memberships SET role = 'god' WHERE workspace = $1::uuid AND person = $2::uuid"),
        ("memberships_pkey", "INSERT INTO memberships (workspace, person, role) VALUES ($1::uuid, $2::uuid, 'viewer')"),
    ],
)  # fmt: skip
def test_only_hashes_of_secrets_are_stored(shared_ground: Ground, refuses: Refuses, constraint: str, sql: str) -> None:
    """I11: a token's secret cannot even be stored by mistake; sessions and codes end by themselves."""
    refuses(constraint, sql, shared_ground.home, shared_ground.rules.id)


@pytest.mark.parametrize("name", ["pause", "policy"])
@pytest.mark.parametrize("where", ["workspace IS NULL", "workspace IS NOT NULL"])
def test_the_rows_that_the_gate_locks_are_always_there(
    shared_ground: Ground, refuses: Refuses, name: str, where: str
) -> None:
    """A row that could vanish could not be locked, and a pause would be overtaken."""
    refuses("settings_gate_rows_stay", f"DELETE FROM settings WHERE name = '{name}' AND {where}")
    refuses("settings_name_stays", f"UPDATE settings SET name = 'x' WHERE name = '{name}' AND {where}")


def test_a_setting_has_one_row_and_its_changes_are_kept(shared_ground: Ground, refuses: Refuses) -> None:
    """NULL is the installation, and there is one of it; what was, stays."""
    shared_ground.workspace.put(shared_ground.home, "time_zone", "Asia/Seoul", None, shared_ground.rules.id)
    refuses("settings_unique", "INSERT INTO settings (workspace, name, version) VALUES (NULL, 'pause', 1)")
    refuses("setting_versions_immutable", "UPDATE setting_versions SET value = '1'")
    refuses("setting_versions_immutable", "DELETE FROM setting_versions")


# --- roles
# --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "sql"),
    [
        ("app", "INSERT INTO decisions (approval_id, person, requested_by, self_allowed, verdict, digest) "
         "VALUES (uuidv7(), uuidv7(), uuidv7(), true, 'approved', 'd')"),
        ("app", "UPDATE approvals SET valid_until = 'infinity'"),
        ("app", "UPDATE approvals SET digest = 'd'"),
        ("app", "INSERT INTO approvals (task_id, plan_number, digest, requested_by, expires_at, valid_until) "
         "VALUES (uuidv7(), 1, 'd', uuidv7(), 'infinity', 'infinity')"),
        ("app", "DELETE FROM tasks"),
        ("app", "DELETE FROM task_events"),
        ("app", "UPDATE task_events SET actor = 'x'"),
        ("app", "UPDATE plans SET steps = '[]'"),
        ("app", "UPDATE step_attempts SET needed_approval = false"),
        ("app", "DELETE FROM step_attempts"),
        ("app", "UPDATE setting_versions SET value = '1'"),
        ("app", "DELETE FROM settings"),
        ("app", "ALTER TABLE task_events DISABLE TRIGGER ALL"),
        ("app", "UPDATE meta SET schema_version = 2"),
        ("approve", "UPDATE settings SET value = '1'"),
        ("approve", "INSERT INTO settings (name, version) VALUES ('x', 1)"),
        ("approve", "INSERT INTO tokens (hash, kind, person, workspace, role) "
         f"VALUES ('{HASH}', 'api', uuidv7(), uuidv7(), 'admin')"),
        ("approve", "UPDATE decisions SET verdict = 'approved'"),
        ("approve", "UPDATE budgets SET cap = 1"),
    ],
)  # fmt: skip
def test_a_role_cannot_do_what_is_not_its_work(
    shared_ground: Ground, postgres_module: Place, role: str, sql: str
) -> None:
    """I4: of our own processes only `approve` can write a decision, and none can rewrite what was."""
    database: Database = getattr(postgres_module, role)
    with pytest.raises(DatabaseError, match="42501"):
        database.run(sql)


def test_both_roles_may_lock_what_the_gate_locks(shared_ground: Ground, postgres_module: Place) -> None:
    """PostgreSQL asks for UPDATE on a column before it locks a row FOR SHARE."""
    for database in (postgres_module.app, postgres_module.approve):
        for table in ("settings", "approvals"):
            database.run(f"SELECT 1 FROM {table} FOR SHARE")
        database.run("SELECT 1 FROM tasks FOR NO KEY UPDATE")
    postgres_module.app.run("SELECT 1 FROM budgets FOR SHARE")


def test_a_detail_may_be_erased_and_leaves_its_hash(shared_ground: Ground, postgres_module: Place) -> None:
    """I2: forgetting what a person wrote breaks no chain."""
    held = shared_ground.running()
    assert shared_ground.apply(gave_up(held))
    [[before]] = postgres_module.owner.run(
        "SELECT encode(hash, 'hex') FROM task_events WHERE task_id = $1::uuid AND seq = 3", str(held.id)
    )
    postgres_module.app.run("UPDATE task_events SET detail = NULL WHERE task_id = $1::uuid", str(held.id))
    [[after]] = postgres_module.owner.run(
        "SELECT encode(hash, 'hex') FROM task_events WHERE task_id = $1::uuid AND seq = 3", str(held.id)
    )
    assert before == after
