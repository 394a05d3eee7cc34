"""Batches on record: calls whose requests are stored before they are sent, so that any replica can collect them."""

# ruff: noqa: S608 - composed of constants of these modules; values are parameters

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter

from common.adapters.postgres.budget import CLOSING, ENDED, IN_FULL, WouldPass, reserve_in
from common.adapters.postgres.connection import Database, DataError, Session
from common.adapters.postgres.documents import document, uuids
from common.adapters.postgres.rows import TASKS, joined, tasks_from
from common.core.task import Task
from common.ports import ANSWER_IN, SEND_WITHIN, Asked, Batch, CallRequest, Checked, NotOpened, NotReserved

ONE_UNANSWERED: Final = "calls_one_unanswered"

IS_FREE: Final = """
SELECT NOT EXISTS (SELECT FROM calls WHERE api_key_fingerprint = $1 AND requests IS NOT NULL
    AND provider_batch_id IS NULL AND state = 'reserved')"""

# The unique index refuses a second one that is without an answer, whoever opens it.
OPEN: Final = """
UPDATE calls SET requests = ($2::jsonb || jsonb_build_object('of', id))::json, api_key_fingerprint = $3,
    poll_at = clock_timestamp() + $4::float8 * interval '1 s'
WHERE id = $1::uuid RETURNING 1"""

NAME: Final = """
WITH held AS MATERIALIZED (
    SELECT id, provider_batch_id AS before, requests::jsonb AS said FROM calls
    WHERE id = $1::uuid AND state = 'reserved' AND requests IS NOT NULL FOR NO KEY UPDATE
)
UPDATE calls c SET provider_batch_id = $2, poll_at = clock_timestamp() + interval '1 min',
    requests = (h.said || jsonb_build_object(
        'certain', $3::boolean OR (h.said ->> 'certain')::boolean,
        'answered', $5::boolean OR coalesce((h.said ->> 'answered')::boolean, false),
        'not_ours', (h.said -> 'not_ours') || CASE WHEN h.before <> $2 THEN to_jsonb(h.before) ELSE '[]' END))::json
FROM held h WHERE c.id = h.id AND (h.before = $2 OR NOT (h.said ->> 'certain')::boolean)
    AND ($3::boolean OR h.before = $2 OR h.before IS NOT DISTINCT FROM $4::text) RETURNING 1"""

# Judged on the locked row, by the clock as it is after the wait.
BEGIN: Final = """
UPDATE calls SET poll_at = clock_timestamp() + $2::float8 * interval '1 s'
WHERE id = $1::uuid AND state = 'reserved' AND requests IS NOT NULL AND NOT (requests ->> 'certain')::boolean
    AND clock_timestamp() < created_at + $3::float8 * interval '1 s' RETURNING 1"""

AS_SEEN: Final = """id = $1::uuid AND requests IS NOT NULL AND provider_batch_id IS NOT DISTINCT FROM $2::text
    AND created_at <= clock_timestamp() - $3::float8 * interval '1 s'"""
# whoever closes it may die before the tasks are moved: maintenance finds them
HASTENED: Final = """, hastened AS (
    UPDATE tasks SET next_check_at = clock_timestamp() WHERE batch = (SELECT $1::uuid FROM ended)
) SELECT count(*) FROM ended"""


def _closing(state: str, cost: str, which: str) -> str:
    """As every call is closed, and its tasks are due."""
    return CLOSING.format(state=state, cost=cost, bill="", which=which) + HASTENED


NOT_MADE: Final = _closing("voided", "0", f"{AS_SEEN} AND NOT (requests ->> 'certain')::boolean")
UNKNOWN_COST: Final = _closing("assumed_billed", IN_FULL, AS_SEEN)

# Both rows are at least a nanodollar: what is on record is never nothing.
CHECKED: Final = """
WITH held AS MATERIALIZED (
    SELECT id, reserved - greatest(1, reserved - $3::bigint) AS less FROM calls
    WHERE id = $1::uuid AND state = 'reserved' AND NOT coalesce((requests ->> 'checked')::boolean, true)
    FOR NO KEY UPDATE
), rest AS MATERIALIZED (
    UPDATE calls c SET reserved = c.reserved - h.less,
        requests = (c.requests::jsonb || jsonb_build_object('checked', true))::json
    FROM held h WHERE c.id = h.id RETURNING c.*, h.less
), made AS (
    INSERT INTO calls (workspace, month, purpose, model, prompt_version, reserved, state, cost, input_tokens,
        output_tokens, cache_read_tokens, cache_write_tokens, baseline_cost, saved_pack, tasks, disagreements, reason,
        created_at, deadline, request_id)
    SELECT workspace, month, purpose, model, prompt_version, greatest(1, $3::bigint), 'settled', $3::bigint, $4::bigint,
        $5::bigint, $6::bigint, $7::bigint, 0, $8::bigint, $9::int, $10::int, 'check', created_at, deadline,
        provider_batch_id
    FROM rest RETURNING id
), linked AS (
    INSERT INTO call_tasks (call_id, task_id) SELECT made.id, t.id FROM made, unnest($2::uuid[]) AS t(id)
), months AS MATERIALIZED (
    SELECT b.workspace, b.month, r.less FROM budgets b JOIN rest r ON r.month = b.month
    WHERE b.workspace = r.workspace OR b.workspace IS NULL
    ORDER BY b.workspace NULLS FIRST FOR NO KEY UPDATE OF b
), booked AS (
    UPDATE budgets b SET reserved = b.reserved - m.less, spent = b.spent + $3::bigint FROM months m
    WHERE m.month = b.month AND m.workspace IS NOT DISTINCT FROM b.workspace
) SELECT count(*) FROM made"""

# The months in the order in which every call locks them (adapters/postgres/budget.py).
ORPHAN: Final = """
WITH made AS MATERIALIZED (
    INSERT INTO calls (workspace, month, purpose, model, prompt_version, reserved, deadline, reason, tasks, created_at,
        requests, api_key_fingerprint, provider_batch_id, poll_at)
    SELECT workspace, month, purpose, model, prompt_version, 1, deadline, 'orphan', 0, created_at,
        (requests::jsonb || jsonb_build_object('certain', $3::boolean, 'not_ours', '[]'::jsonb))::json,
        api_key_fingerprint, $2, clock_timestamp()
    FROM calls WHERE id = $1::uuid AND requests IS NOT NULL
    ON CONFLICT (provider_batch_id) DO NOTHING RETURNING workspace, month
), held AS MATERIALIZED (
    SELECT b.workspace, b.month FROM budgets b JOIN made m ON m.month = b.month
    WHERE b.workspace = m.workspace OR b.workspace IS NULL
    ORDER BY b.workspace NULLS FIRST FOR NO KEY UPDATE OF b
), booked AS (
    UPDATE budgets b SET reserved = b.reserved + 1 FROM held h
    WHERE h.month = b.month AND h.workspace IS NOT DISTINCT FROM b.workspace
) SELECT count(*) FROM made"""

MAY_BE: Final = "requests IS NOT NULL AND NOT (requests ->> 'certain')::boolean"
KNOWN: Final = f"""
SELECT provider_batch_id FROM calls WHERE provider_batch_id = ANY ($1::text[])
    AND NOT (reason = 'orphan' AND state = 'reserved' AND {MAY_BE})"""

ON_RECORD: Final = "SELECT EXISTS (SELECT FROM calls WHERE id = $1::uuid AND requests IS NOT NULL)"

# Who takes an id from what only may have it: both rows in the order in which all lock several, then the months.
BOTH: Final = "SELECT 1 FROM calls WHERE id = $1::uuid OR provider_batch_id = $2 ORDER BY id FOR NO KEY UPDATE"
NO_ORPHAN: Final = ENDED.format(
    state="voided", cost="0", bill="", which=f"provider_batch_id = $1 AND reason = 'orphan' AND {MAY_BE}"
)
FREED: Final = f"""
UPDATE calls SET provider_batch_id = NULL WHERE provider_batch_id = $1 AND state = 'voided' AND {MAY_BE} RETURNING 1"""
# A batch is without an answer again, unless another of its key is: then the index refuses it.
LET_GO: Final = f"""
UPDATE calls SET provider_batch_id = NULL, requests = (requests::jsonb || jsonb_build_object(
    'not_ours', requests::jsonb -> 'not_ours' || to_jsonb(provider_batch_id)))::json
WHERE provider_batch_id = $1 AND id <> $2::uuid AND state = 'reserved' AND reason <> 'orphan' AND {MAY_BE}
RETURNING 1"""

BATCH: Final = """json_build_object(
    'id', c.id, 'workspace', c.workspace, 'model', c.model, 'prompt_version', c.prompt_version, 'reason', c.reason,
    'asked', c.requests -> 'asked', 'of', c.requests -> 'of', 'key', c.api_key_fingerprint,
    'provider_id', c.provider_batch_id, 'certain', c.requests -> 'certain',
    'answered', coalesce(c.requests -> 'answered', 'false'), 'not_ours', c.requests -> 'not_ours',
    'reserved', c.reserved, 'opened_at', c.created_at,
    'age', extract(epoch FROM clock_timestamp() - c.created_at))::text"""

# Looking takes the batch off the list for a while: two replicas seldom ask for the same, and it does no harm.
DUE: Final = f"""
UPDATE calls c SET poll_at = clock_timestamp()
    + greatest(interval '1 min', least(interval '5 min', (clock_timestamp() - c.created_at) / 10))
FROM (
    SELECT id FROM calls WHERE requests IS NOT NULL AND state = 'reserved' AND poll_at <= clock_timestamp()
    ORDER BY poll_at LIMIT $1::int FOR NO KEY UPDATE SKIP LOCKED
) d WHERE c.id = d.id RETURNING {BATCH}"""

NEXT_DUE: Final = """
SELECT extract(epoch FROM min(poll_at) - clock_timestamp())::float8 FROM calls
WHERE requests IS NOT NULL AND state = 'reserved'"""

PARKED: Final = TASKS.format(chosen="SELECT id FROM tasks WHERE batch = $1::uuid ORDER BY id LIMIT $2::int")

_BATCHES: Final = TypeAdapter(list[Batch])


class PostgresBatches:
    """`ports.Batches`."""

    def __init__(self, database: Database) -> None:
        """`database`: as `aiw_app`."""
        self._database = database

    def is_free(self, key: str) -> bool:
        """See ports.Batches."""
        [[free]] = self._database.run(IS_FREE, key)
        return bool(free)

    def open(self, call: CallRequest, key: str, asked: Sequence[Asked]) -> UUID | NotReserved | NotOpened:
        """See ports.Batches."""
        requests = document(
            {"asked": [asdict(one) for one in asked], "certain": False, "not_ours": [], "checked": False}
        )

        def work(session: Session) -> UUID:
            made = reserve_in(session, call)
            session.run(OPEN, str(made), requests, key, str(ANSWER_IN.total_seconds()))
            return made

        try:
            return self._database.transact(work)
        except WouldPass as exc:
            return exc.why
        except DataError as exc:
            if exc.constraint != ONE_UNANSWERED:
                raise
            return NotOpened.UNANSWERED

    def name(
        self, batch: UUID, provider_id: str, *, certain: bool, answered: bool = False, instead_of: str | None = None
    ) -> bool:
        """See ports.Batches."""
        values = (str(batch), provider_id, str(certain), instead_of, str(answered))
        try:
            return bool(self._database.run(NAME, *values))
        except DataError:  # the id is another's, or only may be
            return self._taken(batch, provider_id, lambda session: bool(session.run(NAME, *values)), certain=certain)

    def begin(self, batch: UUID) -> bool:
        """See ports.Batches."""
        spans = (str(ANSWER_IN.total_seconds()), str(SEND_WITHIN.total_seconds()))
        return bool(self._database.run(BEGIN, str(batch), *spans))

    def give_up(self, batch: UUID, seen: str | None, *, billed: bool, after: timedelta = timedelta(0)) -> bool:
        """See ports.Batches."""
        statement = UNKNOWN_COST if billed else NOT_MADE
        [[closed]] = self._database.run(statement, str(batch), seen, str(after.total_seconds()))
        return bool(closed)

    def checked(self, batch: UUID, checked: Checked) -> bool:
        """See ports.Batches."""
        bill, used = checked.bill, checked.bill.usage
        tokens = (used.input, used.output, used.cache_read, used.cache_write)
        numbers = map(str, (bill.cost, *tokens, bill.saved.pack, len(checked.tasks), checked.different))
        [[made]] = self._database.run(CHECKED, str(batch), uuids([*dict.fromkeys(checked.tasks)]), *numbers)
        return bool(made)

    def orphan(self, of: UUID, provider_id: str, *, certain: bool) -> bool:
        """See ports.Batches."""

        def work(session: Session | Database) -> bool:
            [[made]] = session.run(ORPHAN, str(of), provider_id, str(certain))
            return bool(made)

        return work(self._database) or (certain and self._taken(of, provider_id, work, certain=True))

    def known(self, provider_ids: Sequence[str]) -> frozenset[str]:
        """See ports.Batches."""
        return frozenset(row[0] for row in self._database.run(KNOWN, _texts(provider_ids)))

    def is_on_record(self, call: UUID) -> bool:
        """See ports.Batches."""
        [[there]] = self._database.run(ON_RECORD, str(call))
        return bool(there)

    def due(self, limit: int) -> list[Batch]:
        """See ports.Batches."""
        return _BATCHES.validate_json(joined(self._database.run(DUE, str(limit))))

    def next_due(self) -> timedelta | None:
        """See ports.Batches."""
        [[seconds]] = self._database.run(NEXT_DUE)
        return None if seconds is None else timedelta(seconds=max(0.0, seconds))

    def parked(self, batch: UUID, limit: int = 1000) -> list[Task]:
        """See ports.Batches."""
        return tasks_from(self._database.run(PARKED, str(batch), str(limit)))

    def _taken(self, batch: UUID, provider_id: str, work: Callable[[Session], bool], *, certain: bool) -> bool:
        """`work` with an id that may be no other's after all. False: nothing is written."""

        def whole(session: Session) -> bool:
            session.run(BOTH, str(batch), provider_id)
            session.run(NO_ORPHAN, provider_id)
            freed = session.run(FREED, provider_id) or (certain and session.run(LET_GO, provider_id, str(batch)))
            if not freed or not work(session):
                raise _NotTakenError
            return True

        try:
            return self._database.transact(whole)
        except (_NotTakenError, DataError):
            return False


class _NotTakenError(Exception):
    """Rolls back what was freed for nothing."""


def _texts(values: Sequence[str]) -> str:
    """The text of a PostgreSQL array; what is in it came from outside."""
    quoted = ('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return "{" + ",".join(quoted) + "}"
