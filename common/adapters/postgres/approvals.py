"""Approvals, decisions and announcements. Connected as `aiw_approve`, the one role that may insert a decision."""

# ruff: noqa: S608 - composed of constants of these modules; values are parameters

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter

from common.adapters.postgres.apply import apply_in
from common.adapters.postgres.connection import Database, Session
from common.adapters.postgres.documents import document, plain, uuids
from common.adapters.postgres.rows import BARE_TASK, JOIN_PLAN, joined
from common.core.lifecycle import Transition
from common.ports import Approval, Decision, Notice, Verdict

VALID_FOR: Final = timedelta(hours=24)  # after the last required decision, or after `not_before` if that is later

APPROVAL_JSON: Final = """json_build_object('id', a.id, 'task_id', a.task_id, 'plan_number', a.plan_number,
    'digest', a.digest, 'requested_by', a.requested_by, 'required', a.required, 'expires_at', a.expires_at,
    'requested_by_name', coalesce((SELECT p.name FROM people p WHERE p.id = a.requested_by), a.requested_by::text),
    'valid_until', a.valid_until, 'decisions', coalesce((
        SELECT json_agg(json_build_object('person', d.person, 'person_name', p.name, 'verdict', d.verdict,
            'note', d.note, 'at', d.at) ORDER BY d.at)
        FROM decisions d JOIN people p ON p.id = d.person WHERE d.approval_id = a.id), '[]'::json))"""

OPEN: Final = f"""
SELECT {APPROVAL_JSON}::text FROM approvals a JOIN tasks t ON t.id = a.task_id
WHERE t.workspace = $1::uuid AND a.task_id = $2::uuid AND a.closed_at IS NULL"""

VALID: Final = """
SELECT EXISTS (SELECT FROM approvals a JOIN tasks t ON t.id = a.task_id
    WHERE t.workspace = $1::uuid AND a.task_id = $2::uuid AND a.closed_at IS NULL AND a.digest = $3
    AND a.valid_until > clock_timestamp() AND a.required <= (
        SELECT count(*) FROM decisions d WHERE d.approval_id = a.id AND d.verdict = 'approved'
            AND d.digest = a.digest))"""

# every change of a task's approvals is made under the task's lock, so what is read after it is what is
LOCK_TASK: Final = """
SELECT state FROM tasks WHERE id = $1::uuid FOR NO KEY UPDATE"""

ASKED: Final = """
SELECT a.id, a.requested_by, a.required, a.closed_at IS NULL, a.expires_at > clock_timestamp(),
    EXISTS (SELECT FROM decisions d WHERE d.approval_id = a.id AND d.person = $3::uuid)
FROM approvals a WHERE a.task_id = $1::uuid AND a.digest = $2 ORDER BY a.closed_at IS NULL DESC, a.id DESC LIMIT 1"""

# Of a session nobody but its person has the secret; an API token's has whoever issued it, too.
ISSUER: Final = "SELECT issued_by FROM tokens WHERE hash = $1 AND kind = 'api'"

DECIDE: Final = """
INSERT INTO decisions (approval_id, person, requested_by, self_allowed, verdict, digest, note, issued_by)
SELECT $1::uuid, $2::uuid, a.requested_by, $3::boolean, $4, $5, $6, $7::uuid
FROM approvals a WHERE a.id = $1::uuid RETURNING 1"""

APPROVED: Final = "SELECT count(*) FROM decisions WHERE approval_id = $1::uuid AND verdict = 'approved'"

GRANT: Final = f"""
UPDATE approvals a SET valid_until = greatest(clock_timestamp(), t.not_before)
    + interval '{VALID_FOR.total_seconds()} s'
FROM tasks t WHERE a.id = $1::uuid AND t.id = a.task_id RETURNING 1"""

UNTOLD: Final = f"""
SELECT json_build_object('task', {BARE_TASK}, 'requested_by_name',
    coalesce((SELECT q.name FROM people q WHERE q.id = t.requested_by), t.requested_by::text),
    'approval', (SELECT {APPROVAL_JSON} FROM approvals a WHERE a.task_id = t.id AND a.closed_at IS NULL))::text
FROM tasks t {JOIN_PLAN}
WHERE t.state IN ('awaiting_approval', 'manual') AND t.announced_seq < t.event_seq
-- by chance: in a fixed order, those that a channel never takes would keep all others from being told
ORDER BY random() LIMIT $1::int"""

TOLD: Final = """
WITH held AS MATERIALIZED (
    SELECT t.id, w.seq FROM tasks t JOIN json_to_recordset($1::json) AS w(task_id uuid, seq int) ON t.id = w.task_id
    ORDER BY t.id FOR NO KEY UPDATE OF t
) UPDATE tasks t SET announced_seq = greatest(t.announced_seq, h.seq) FROM held h WHERE t.id = h.id RETURNING 1"""

REMIND: Final = """
WITH held AS MATERIALIZED (
    SELECT id FROM tasks WHERE id = ANY($1::uuid[]) AND state = 'manual' AND next_check_at <= clock_timestamp()
    ORDER BY id FOR NO KEY UPDATE
) UPDATE tasks t SET announced_seq = t.event_seq - 1, next_check_at = clock_timestamp() + $2::float8 * interval '1 s'
FROM held h WHERE t.id = h.id RETURNING 1"""

_APPROVAL: Final = TypeAdapter(Approval)
_NOTICES: Final = TypeAdapter(list[Notice])


class _Undo(Exception):
    """Not an error: it takes a transaction back, and carries the answer."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.value)
        self.verdict = verdict


class PostgresApprovals:
    """`ports.Approvals`."""

    def __init__(self, database: Database) -> None:
        """`database`: as `aiw_approve` to decide; reading and announcing need no more than `aiw_app`."""
        self._database = database

    def open(self, workspace: UUID, task: UUID) -> Approval | None:
        """See ports.Approvals."""
        rows = self._database.run(OPEN, str(workspace), str(task))
        return _APPROVAL.validate_json(rows[0][0]) if rows else None

    def valid(self, workspace: UUID, task: UUID, digest: str) -> bool:
        """See ports.Approvals."""
        [[valid]] = self._database.run(VALID, str(workspace), str(task), digest)
        return bool(valid)

    def decide(self, decision: Decision, then: Transition, *, self_allowed: bool) -> Verdict:
        """See ports.Approvals."""
        try:
            return self._database.transact(lambda session: _decide(session, decision, then, self_allowed=self_allowed))
        except _Undo as undone:
            return undone.verdict

    def unannounced(self, limit: int) -> list[Notice]:
        """See ports.Approvals."""
        rows = self._database.run(UNTOLD, str(limit))
        return _NOTICES.validate_json(joined(rows)) if rows else []

    def announced(self, told: Sequence[tuple[UUID, int]]) -> None:
        """See ports.Approvals."""
        if told:
            self._database.run(TOLD, document([{"task_id": task, "seq": seq} for task, seq in told]))

    def remind(self, tasks: Sequence[UUID], again: timedelta) -> None:
        """See ports.Approvals."""
        if tasks:
            self._database.run(REMIND, uuids(tasks), str(again.total_seconds()))


def _decide(session: Session, decision: Decision, then: Transition, *, self_allowed: bool) -> Verdict:
    task, person = str(then.task_id), str(decision.person)
    locked = session.run(LOCK_TASK, task)
    asked = session.run(ASKED, task, decision.digest, person)
    if not locked or not asked:
        return Verdict.STALE
    approval, requested_by, required, is_open, in_time, already = asked[0]
    if not is_open:
        return Verdict.STALE
    if already:
        return Verdict.ALREADY
    if locked[0][0] != "awaiting_approval":
        return Verdict.STALE
    if not in_time:
        return Verdict.EXPIRED
    lent = session.run(ISSUER, decision.token_sha256)
    issuer = lent[0][0] if lent else None
    if not self_allowed and requested_by in {decision.person, issuer}:
        return Verdict.SELF if requested_by == decision.person else Verdict.ISSUED
    note = None if decision.note is None else plain(decision.note)
    allowed = "true" if self_allowed else "false"
    by = None if issuer is None else str(issuer)
    session.run(DECIDE, str(approval), person, allowed, decision.verdict, decision.digest, note, by)
    if decision.verdict == "approved":
        [[approved]] = session.run(APPROVED, str(approval))
        if approved < required:
            return Verdict.APPLIED  # stored; the wait goes on until the last required one
        session.run(GRANT, str(approval))
    if not apply_in(session, [then]):
        raise _Undo(Verdict.STALE)
    return Verdict.APPLIED
