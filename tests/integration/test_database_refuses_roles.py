"""What the database itself refuses: money, people and settings even to their owner; to a role, what is not its work."""

# ruff: noqa: S608, ISC004, ARG001 - composed of constants of this file, whose tables have long lines; a ground is needed

from __future__ import annotations

import hashlib

import pytest

from tests.contract.ground import Ground
from tests.integration.refusals import Refuses, not_permitted, refuses
from tests.postgres import Place

__all__ = ["refuses"]  # a fixture

HASH = hashlib.sha256(b"secret").hexdigest()


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
    not_permitted(postgres_module, role, sql)


def test_both_roles_may_lock_what_the_gate_locks(shared_ground: Ground, postgres_module: Place) -> None:
    """PostgreSQL asks for UPDATE on a column before it locks a row FOR SHARE."""
    for database in (postgres_module.app, postgres_module.approve):
        for table in ("settings", "approvals"):
            database.run(f"SELECT 1 FROM {table} FOR SHARE")
        database.run("SELECT 1 FROM tasks FOR NO KEY UPDATE")
    postgres_module.app.run("SELECT 1 FROM budgets FOR SHARE")
