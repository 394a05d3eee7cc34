"""Settings, policy and pause: one table, a row of the workspace's own before the installation's."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import orjson

from common.adapters.postgres.connection import Database, Session
from common.adapters.postgres.documents import foreign
from common.adapters.postgres.rows import BARE_TASKS, tasks_from
from common.core.installation import SETTINGS, policy_from
from common.core.policy import Policy
from common.core.task import Json, Task
from common.ports import SettingRow

# what assessment depends on: a change raises the version that the gate compares
ASSESSED: Final = frozenset({"policy", "hosts", "functions", "channels"})

READ: Final = """
SELECT name, workspace IS NOT NULL, version, value::text FROM settings WHERE workspace = $1::uuid
    OR workspace IS NULL"""

MEMBERS: Final = "SELECT count(*) FROM memberships WHERE workspace = $1::uuid"

LOCK: Final = """
SELECT name, version, value IS NULL FROM settings WHERE workspace = $1::uuid AND name IN ($2, 'policy')
ORDER BY name FOR NO KEY UPDATE"""

WRITE: Final = """
WITH written AS (
    INSERT INTO settings AS s (workspace, name, version, value) VALUES ($1::uuid, $2, 1, $3::json)
    ON CONFLICT (workspace, name) DO UPDATE SET version = s.version + 1, value = excluded.value
    RETURNING workspace, name, version, value
) INSERT INTO setting_versions (workspace, name, version, value, by)
SELECT workspace, name, version, value, $4::uuid FROM written RETURNING version"""

RAISE: Final = """
WITH raised AS (
    UPDATE settings SET version = version + 1 WHERE workspace = $1::uuid AND name = 'policy'
    RETURNING workspace, name, version, value
) INSERT INTO setting_versions (workspace, name, version, value, by)
SELECT workspace, name, version, value, $2::uuid FROM raised RETURNING version"""

STALE_WAITS: Final = BARE_TASKS.format(
    chosen="""
SELECT t.id FROM tasks t JOIN plans p ON p.task_id = t.id AND p.number = t.plan_number
WHERE t.state = 'awaiting_approval' AND p.policy_version <> (
    SELECT sum(s.version) FROM settings s WHERE s.name = 'policy' AND (s.workspace = t.workspace
        OR s.workspace IS NULL))
ORDER BY t.id LIMIT $1::int"""
)


class PostgresWorkspace:
    """`ports.Workspace`."""

    def __init__(self, database: Database) -> None:
        """`database`: as `aiw_app`, which alone changes settings."""
        self._database = database

    def policy(self, workspace: UUID) -> Policy:
        """See ports.Workspace."""
        rows = self._database.hot(READ, str(workspace))
        stored = {(name, own): orjson.loads(value) for name, own, _, value in rows if value is not None}
        [[members]] = self._database.hot(MEMBERS, str(workspace))
        return policy_from(
            {name: stored.get((name, True), stored.get((name, False))) for name in SETTINGS},
            version=sum(version for name, _, version, _ in rows if name == "policy"),
            pause=stored.get(("pause", True)) or stored.get(("pause", False)),
            members=members,
        )

    def settings(self, workspace: UUID) -> list[SettingRow]:
        """See ports.Workspace."""
        rows = self._database.hot(READ, str(workspace))
        found: dict[str, SettingRow] = {}
        for name, own, version, value in sorted(rows, key=lambda row: bool(row[1])):
            if own and value is not None:
                found[name] = SettingRow(name=name, version=version, value=orjson.loads(value), inherited=False)
            elif not own:
                value = None if value is None else orjson.loads(value)  # noqa: PLW2901 - the same thing, decoded
                found[name] = SettingRow(name=name, version=0, value=value, inherited=True)
        return [found[name] for name in sorted(found)]

    def put(self, workspace: UUID, name: str, value: Json, expected: int | None, by: UUID) -> SettingRow | None:
        """See ports.Workspace."""

        def work(session: Session) -> SettingRow | None:
            rows = {row[0]: row for row in session.run(LOCK, str(workspace), name)}
            present = 0 if name not in rows or rows[name][2] else rows[name][1]
            if expected is not None and expected != present:
                return None
            [[version]] = session.run(WRITE, str(workspace), name, foreign(value), str(by))
            if name in ASSESSED - {"policy"}:
                session.run(RAISE, str(workspace), str(by))
            return SettingRow(name=name, version=version, value=value, inherited=False)

        return self._database.transact(work)

    def pause(self, workspace: UUID, why: str | None, by: UUID) -> None:
        """See ports.Workspace.

        The row's update conflicts with the gate's FOR SHARE: it waits for gates that hold it, later ones wait for it.
        """

        def work(session: Session) -> None:
            names = session.run("SELECT name FROM people WHERE id = $1::uuid", str(by))
            value = None if why is None else {"why": why, "by": names[0][0] if names else str(by)}
            session.run(LOCK, str(workspace), "pause")
            session.run(WRITE, str(workspace), "pause", None if value is None else foreign(value), str(by))

        self._database.transact(work)

    def workspaces_reassessable(self, limit: int) -> list[Task]:
        """See ports.Workspace."""
        return tasks_from(self._database.run(STALE_WAITS, str(limit)))
