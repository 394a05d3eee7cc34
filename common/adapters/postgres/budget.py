"""Money: reserved before a call, settled after it; both the workspace's and the installation's month hold it (I7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import orjson

from common.adapters.postgres.connection import Database, Row, Session
from common.adapters.postgres.documents import plain, uuids
from common.core.installation import nanodollars
from common.core.spending import Standing
from common.core.unanswered import Tried
from common.ports import Bill, BudgetTold, BudgetView, CallRequest, NotReserved, Unbelieved

# Asked once a transaction: two statements of one might stand on either side of the month's edge.
MONTH: Final = "SELECT date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date::text"

CAPS: Final = """
SELECT workspace IS NULL, value::text, (SELECT count(*) FROM workspaces) FROM settings
WHERE name = 'budget_usd' AND (workspace = $1::uuid OR workspace IS NULL) AND value IS NOT NULL"""

# the caps follow the settings
ROWS: Final = """
INSERT INTO budgets AS b (workspace, month, cap)
VALUES (NULL, $2::date, $3::bigint), ($1::uuid, $2::date, $4::bigint)
ON CONFLICT (workspace, month) DO UPDATE SET cap = excluded.cap WHERE b.cap <> excluded.cap RETURNING 1"""

# in one order: of two calls neither waits for what the other holds
LOCK: Final = """
SELECT 1 FROM budgets WHERE month = $2::date AND (workspace = $1::uuid OR workspace IS NULL)
ORDER BY workspace NULLS FIRST FOR NO KEY UPDATE"""

# Calls of one task are held apart by its row: at a month's edge they would lock different months. Tasks come before
# all else in the order of locks, as in the gate.
LOCK_TASKS: Final = "SELECT 1 FROM tasks WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"
BOOKED: Final = """
SELECT coalesce(sum(coalesce(c.cost, c.reserved)), 0)::bigint
FROM call_tasks ct JOIN calls c ON c.id = ct.call_id WHERE ct.task_id = ANY ($1::uuid[]) AND c.purpose = $2"""

RESERVE: Final = """
UPDATE budgets SET reserved = reserved + $3::bigint
WHERE month = $2::date AND (workspace = $1::uuid OR workspace IS NULL)
    AND reserved + spent + $3::bigint <= cap RETURNING 1"""

CALL: Final = """
WITH made AS (
    INSERT INTO calls (id, workspace, month, purpose, model, prompt_version, reserved, deadline, reason, tasks)
    VALUES (uuidv7(), $1::uuid, $2::date, $4, $5, $6, $3::bigint, clock_timestamp() + $7::float8 * interval '1 s',
        $9, $10::int)
    RETURNING id
), linked AS (
    INSERT INTO call_tasks (call_id, task_id) SELECT made.id, t.id FROM made, unnest($8::uuid[]) AS t(id)
) SELECT id FROM made"""

# Once: `state = 'reserved'` is judged on the locked row. Then the months, in the order of LOCK.
CLOSING: Final = """
WITH ended AS MATERIALIZED (
    UPDATE calls SET state = '{state}', cost = {cost}{bill} WHERE {which} AND state = 'reserved'
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
)"""
ENDED: Final = CLOSING + " SELECT count(*) FROM ended"  # noqa: S608 - composed of constants; values are parameters

SETTLE: Final = ENDED.format(
    state="settled",
    cost="$2::bigint",
    bill=", input_tokens = $3::bigint, output_tokens = $4::bigint, cache_read_tokens = $5::bigint, "
    "cache_write_tokens = $6::bigint, baseline_cost = $7::bigint, saved_model = $8::bigint, "
    "saved_prompt = $9::bigint, saved_pack = $10::bigint, saved_batch = $11::bigint, latency_ms = $12::int, "
    "request_id = $13",
    which="id = $1::uuid",
)
NAMED: Final = ", request_id = $2"
VOID: Final = ENDED.format(state="voided", cost="0", bill=NAMED, which="id = $1::uuid")
# of an orphan a nanodollar is reserved: it may have cost what its requests cost at most
IN_FULL: Final = """coalesce(CASE WHEN reason = 'orphan' THEN
    (SELECT sum((a ->> 'most')::bigint)::bigint FROM json_array_elements(requests -> 'asked') AS a) END, reserved)"""
ASSUME: Final = ENDED.format(state="assumed_billed", cost=IN_FULL, bill=NAMED, which="id = $1::uuid")
EXPIRE: Final = ENDED.format(state="assumed_billed", cost=IN_FULL, bill="", which="deadline <= clock_timestamp()")

VIEW: Final = """
SELECT coalesce(b.spent, 0), coalesce(b.reserved, 0), clock_timestamp()
FROM (VALUES (NULL::uuid), ($1::uuid)) AS of(workspace)
LEFT JOIN budgets b ON b.workspace IS NOT DISTINCT FROM of.workspace AND b.month = $2::date
ORDER BY of.workspace NULLS FIRST"""

# What people were told of holds beyond the month's end: the newest row that says so speaks.
TOLD: Final = """
SELECT w.workspace::text,
    (SELECT announced FROM budgets a WHERE a.workspace = w.workspace AND a.announced IS NOT NULL
        ORDER BY a.month DESC LIMIT 1),
    (SELECT t.lang FROM tasks t WHERE t.workspace = w.workspace ORDER BY t.id DESC LIMIT 1)
FROM (SELECT DISTINCT workspace FROM budgets WHERE workspace IS NOT NULL) w ORDER BY w.workspace"""
# Ids are UUIDv7: what is so new is found by the key. Only an impossible usage is booked so: see the door.
UNBELIEVED: Final = """
SELECT c.workspace::text, count(*),
    (SELECT t.lang FROM tasks t WHERE t.workspace = c.workspace ORDER BY t.id DESC LIMIT 1)
FROM calls c WHERE c.id >= (SELECT uuidv7(- $1::float8 * interval '1 s')) AND c.state = 'settled'
    AND c.cost = c.reserved AND c.input_tokens + c.output_tokens + c.cache_read_tokens + c.cache_write_tokens = 0
    AND c.requests IS NULL
GROUP BY c.workspace ORDER BY c.workspace"""
TELL: Final = """
UPDATE budgets SET announced = $2 WHERE workspace = $1::uuid
AND month = (SELECT max(month) FROM budgets WHERE workspace = $1::uuid) RETURNING 1"""

# Ids are UUIDv7: between two calls of a task lie those that were begun in between.
TRIES: Final = """
SELECT c.task::text, c.state = 'settled', c.tasks = 1, EXISTS (
    SELECT FROM calls o WHERE o.id >= c.before AND o.id < c.id AND o.model = c.model AND o.state = 'settled'
    AND o.requests IS NULL)
FROM (
    SELECT ct.task_id AS task, c.id, c.state, c.tasks, c.model,
        lag(c.id) OVER (PARTITION BY ct.task_id, c.model ORDER BY c.id) AS before
    FROM call_tasks ct JOIN calls c ON c.id = ct.call_id
    WHERE ct.task_id = ANY ($1::uuid[]) AND c.purpose = 'analysis' AND c.requests IS NULL
    AND c.state IN ('settled', 'assumed_billed')
) c ORDER BY c.id"""

DIFFERED: Final = "UPDATE calls SET disagreements = $2::int WHERE id = $1::uuid RETURNING 1"

OWNERS: Final[tuple[Literal["installation", "workspace"], ...]] = ("installation", "workspace")


class PostgresBudget:
    """`ports.Budget`."""

    def __init__(self, database: Database) -> None:
        """`database`: as `aiw_app`."""
        self._database = database

    def reserve(self, call: CallRequest) -> UUID | NotReserved:
        """See ports.Budget."""
        try:
            return self._database.transact(lambda session: reserve_in(session, call))
        except WouldPass as exc:
            if exc.why is NotReserved.OVER_BUDGET:  # there has to be a month of which people can be told
                self._database.transact(lambda session: _opened(session, call.workspace))
            return exc.why

    def settle(self, call: UUID, bill: Bill) -> None:
        """See ports.Budget."""
        used, saved = bill.usage, bill.saved
        tokens = (used.input, used.output, used.cache_read, used.cache_write)
        levers = (saved.model, saved.prompt, saved.pack, saved.batch)
        latency = None if bill.latency is None else str(round(bill.latency.total_seconds() * 1000))
        numbers = (bill.cost, *tokens, bill.baseline, *levers)
        self._database.run(SETTLE, str(call), *map(str, numbers), latency, _named(bill.request_id))

    def void(self, call: UUID, request_id: str | None = None) -> None:
        """See ports.Budget."""
        self._database.run(VOID, str(call), _named(request_id))

    def assume_billed(self, call: UUID, request_id: str | None = None) -> None:
        """See ports.Budget."""
        self._database.run(ASSUME, str(call), _named(request_id))

    def differed(self, call: UUID, tasks: int) -> None:
        """See ports.Budget."""
        self._database.run(DIFFERED, str(call), str(tasks))

    def tries(self, tasks: Sequence[UUID]) -> dict[UUID, list[Tried]]:
        """See ports.Budget."""
        found: dict[UUID, list[Tried]] = {}
        for task, answered, alone, others in self._database.run(TRIES, uuids(tasks)):
            found.setdefault(UUID(task), []).append(Tried(answered, alone, others))
        return found

    def expire(self) -> int:
        """See ports.Budget."""
        [[expired]] = self._database.run(EXPIRE)
        return int(expired)

    def month(self, workspace: UUID) -> BudgetView:
        """See ports.Budget."""
        caps = _caps(self._database.run(CAPS, str(workspace)))
        [[month]] = self._database.run(MONTH)
        both, own = self._database.run(VIEW, str(workspace), month)
        views = [
            BudgetView(month=month[:7], cap=cap, spent=spent, reserved=reserved, at=_utc(at), of=of)
            for cap, (spent, reserved, at), of in zip(caps, (both, own), OWNERS, strict=True)
        ]
        return min(reversed(views), key=lambda view: view.cap - view.spent - view.reserved)

    def standings(self) -> list[BudgetTold]:
        """See ports.Budget."""
        return [
            BudgetTold(
                workspace=UUID(workspace),
                month=self.month(UUID(workspace)),
                told=Standing(told or Standing.NORMAL),
                lang="ko" if lang == "ko" else "en",
            )
            for workspace, told, lang in self._database.run(TOLD)
        ]

    def unbelieved(self, since: timedelta) -> list[Unbelieved]:
        """See ports.Budget."""
        rows = self._database.run(UNBELIEVED, str(since.total_seconds()))
        return [
            Unbelieved(workspace=UUID(workspace), calls=calls, lang="ko" if lang == "ko" else "en")
            for workspace, calls, lang in rows
        ]

    def told(self, workspace: UUID, state: Standing) -> None:
        """See ports.Budget."""
        self._database.run(TELL, str(workspace), state.value)


class WouldPass(Exception):
    """Takes the transaction back: a limit would be passed."""

    def __init__(self, why: NotReserved) -> None:
        """`why`: which."""
        super().__init__(why.value)
        self.why = why


def reserve_in(session: Session, call: CallRequest) -> UUID:
    """The call's row within a transaction that has more to say of it. WouldPass."""
    tasks = uuids(call.task_ids)
    if call.cap is not None:
        session.run(LOCK_TASKS, tasks)
    month = _opened(session, call.workspace)
    months = session.run(LOCK, str(call.workspace), month)
    if call.cap is not None:
        [[booked]] = session.run(BOOKED, tasks, call.purpose)
        if booked + call.reserve > call.cap:
            raise WouldPass(NotReserved.COST_CAP)
    place = (str(call.workspace), month, str(call.reserve))
    if len(session.run(RESERVE, *place)) != len(months):
        raise WouldPass(NotReserved.OVER_BUDGET)
    deadline = str(call.deadline.total_seconds())
    named = (call.purpose, call.model, call.prompt_version)
    [[made]] = session.run(CALL, *place, *named, deadline, tasks, str(call.reason), str(call.tasks))
    return UUID(str(made))


def _opened(session: Session, workspace: UUID) -> str:
    """The present month, with its two rows."""
    installation, own = _caps(session.run(CAPS, str(workspace)))
    [[month]] = session.run(MONTH)
    session.run(ROWS, str(workspace), month, str(installation), str(own))
    return str(month)


def _named(request_id: str | None) -> str | None:
    return None if request_id is None else plain(request_id)


def _utc(at: object) -> datetime:
    return datetime.fromisoformat(str(at)).astimezone(UTC)


def _caps(rows: list[Row]) -> tuple[int, int]:
    """The installation's cap, and the workspace's: its own, or the same."""
    found = {whole: nanodollars(orjson.loads(value)) for whole, value, _ in rows}
    installation = found.get(True, nanodollars(None))
    own = found.get(False, installation)
    # The only workspace is the installation: raising its limit raises both.
    return (own if all(workspaces <= 1 for _, _, workspaces in rows) else installation), own
