"""Money: reserved before a call, settled after it; both the workspace's and the installation's month hold it (I7)."""

# ruff: noqa: S608 - composed of constants of these modules; values are parameters

from __future__ import annotations

from typing import Final
from uuid import UUID

import orjson

from common.adapters.postgres.connection import Database, Row, Session
from common.adapters.postgres.documents import uuids
from common.core.installation import nanodollars
from common.ports import BudgetView, CallRequest, Usage

MONTH: Final = "date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date"

CAPS: Final = """
SELECT value::text FROM settings WHERE name = 'budget_usd' AND (workspace = $1::uuid OR workspace IS NULL)
AND value IS NOT NULL ORDER BY workspace NULLS FIRST"""

# the caps follow the settings
ROWS: Final = f"""
INSERT INTO budgets AS b (workspace, month, cap)
VALUES (NULL, {MONTH}, $2::bigint), ($1::uuid, {MONTH}, $3::bigint)
ON CONFLICT (workspace, month) DO UPDATE SET cap = excluded.cap WHERE b.cap <> excluded.cap RETURNING 1"""

# in one order: of two calls neither waits for what the other holds
LOCK: Final = f"""
SELECT month::text FROM budgets WHERE month = {MONTH} AND (workspace = $1::uuid OR workspace IS NULL)
ORDER BY workspace NULLS FIRST FOR NO KEY UPDATE"""

RESERVE: Final = """
UPDATE budgets SET reserved = reserved + $3::bigint
WHERE month = $2::date AND (workspace = $1::uuid OR workspace IS NULL)
    AND reserved + spent + $3::bigint <= cap RETURNING 1"""

CALL: Final = """
WITH made AS (
    INSERT INTO calls (id, workspace, month, purpose, model, prompt_version, reserved, deadline)
    VALUES (uuidv7(), $1::uuid, $2::date, $4, $5, $6, $3::bigint, clock_timestamp() + $7::float8 * interval '1 s')
    RETURNING id
), linked AS (
    INSERT INTO call_tasks (call_id, task_id) SELECT made.id, t.id FROM made, unnest($8::uuid[]) AS t(id)
) SELECT id FROM made"""

# Once: `state = 'reserved'` is judged on the locked row. Then the months, in the order of LOCK.
ENDED: Final = """
WITH ended AS MATERIALIZED (
    UPDATE calls SET state = '{state}', cost = {cost}{tokens} WHERE {which} AND state = 'reserved'
    RETURNING workspace, month, reserved, cost
), moved AS MATERIALIZED (
    SELECT o.workspace, e.month, sum(e.reserved) AS reserved, sum(e.cost) AS cost
    FROM ended e CROSS JOIN LATERAL (VALUES (e.workspace), (NULL::uuid)) AS o(workspace) GROUP BY o.workspace, e.month
), held AS MATERIALIZED (
    SELECT b.workspace, b.month, m.reserved, m.cost FROM budgets b
    JOIN moved m ON m.month = b.month AND m.workspace IS NOT DISTINCT FROM b.workspace
    ORDER BY b.workspace NULLS FIRST, b.month FOR NO KEY UPDATE OF b
), booked AS (
    UPDATE budgets b SET reserved = b.reserved - h.reserved, spent = b.spent + h.cost FROM held h
    WHERE h.month = b.month AND h.workspace IS NOT DISTINCT FROM b.workspace
) SELECT count(*) FROM ended"""

SETTLE: Final = ENDED.format(
    state="settled",
    cost="$2::bigint",
    tokens=", input_tokens = $3::bigint, output_tokens = $4::bigint, cache_read_tokens = $5::bigint, "
    "cache_write_tokens = $6::bigint",
    which="id = $1::uuid",
)
VOID: Final = ENDED.format(state="voided", cost="0", tokens="", which="id = $1::uuid")
ASSUME: Final = ENDED.format(state="assumed_billed", cost="reserved", tokens="", which="id = $1::uuid")
EXPIRE: Final = ENDED.format(state="assumed_billed", cost="reserved", tokens="", which="deadline <= clock_timestamp()")

VIEW: Final = f"""
SELECT to_char({MONTH}, 'YYYY-MM'), coalesce(sum(b.spent), 0)::bigint, coalesce(sum(b.reserved), 0)::bigint
FROM (VALUES (1)) AS one(row) LEFT JOIN budgets b ON b.workspace = $1::uuid AND b.month = {MONTH}"""


class PostgresBudget:
    """`ports.Budget`."""

    def __init__(self, database: Database) -> None:
        """`database`: as `aiw_app`."""
        self._database = database

    def reserve(self, call: CallRequest) -> UUID | None:
        """See ports.Budget."""

        def work(session: Session) -> UUID:
            installation, own = _caps(session.run(CAPS, str(call.workspace)))
            session.run(ROWS, str(call.workspace), str(installation), str(own))
            months = session.run(LOCK, str(call.workspace))
            place = (str(call.workspace), months[0][0], str(call.reserve))
            if len(session.run(RESERVE, *place)) != len(months):
                raise _WouldPass
            deadline = str(call.deadline.total_seconds())
            [[made]] = session.run(
                CALL, *place, call.purpose, call.model, call.prompt_version, deadline, uuids(call.task_ids)
            )
            return UUID(str(made))

        try:
            return self._database.transact(work)
        except _WouldPass:
            return None

    def settle(self, call: UUID, usage: Usage, cost: int) -> None:
        """See ports.Budget."""
        tokens = (str(usage.input), str(usage.output), str(usage.cache_read), str(usage.cache_write))
        self._database.run(SETTLE, str(call), str(cost), *tokens)

    def void(self, call: UUID) -> None:
        """See ports.Budget."""
        self._database.run(VOID, str(call))

    def assume_billed(self, call: UUID) -> None:
        """See ports.Budget."""
        self._database.run(ASSUME, str(call))

    def expire(self) -> int:
        """See ports.Budget."""
        [[expired]] = self._database.run(EXPIRE)
        return int(expired)

    def month(self, workspace: UUID) -> BudgetView:
        """See ports.Budget."""
        _, cap = _caps(self._database.run(CAPS, str(workspace)))
        [[month, spent, reserved]] = self._database.run(VIEW, str(workspace))
        return BudgetView(month=month, cap=cap, spent=spent, reserved=reserved)


class _WouldPass(Exception):
    """Takes the transaction back: a cap would be passed."""


def _caps(rows: list[Row]) -> tuple[int, int]:
    """The installation's cap, and the workspace's: its own, or the same."""
    values = [nanodollars(orjson.loads(row[0])) for row in rows] or [nanodollars(None)]
    return values[0], values[-1]
