"""The ledger, looked at: one pass over a month's calls, one over their tasks, one over plans from the cache."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from common.adapters.postgres.connection import Database, Row
from common.ports import CallSum, KindCost, MonthCosts, Saved, Usage

BUDGET: Final = """
SELECT m.month::text, clock_timestamp(), b.cap, coalesce(b.reserved, 0), coalesce(b.spent, 0)
FROM (SELECT coalesce($2::date, date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date)) AS m(month)
LEFT JOIN budgets b ON b.workspace = $1::uuid AND b.month = m.month"""

# A call that brought no answer has no naive price: it is taken for what it cost, so that nothing was saved.
CALLS: Final = """
SELECT grouping(model, purpose, day, packed), model, purpose, reason, day, packed, count(*), sum(tasks),
    sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(cost),
    sum(coalesce(baseline_cost, cost)), sum(saved_model), sum(saved_prompt), sum(saved_pack), sum(saved_batch),
    sum(disagreements),
    coalesce(sum(tasks) FILTER (WHERE saved_model <> 0), 0), coalesce(sum(tasks) FILTER (WHERE saved_prompt <> 0), 0),
    coalesce(sum(tasks) FILTER (WHERE saved_pack <> 0), 0), coalesce(sum(tasks) FILTER (WHERE saved_batch <> 0), 0)
FROM (
    SELECT c.*, c.tasks > 1 AS packed,
        greatest(c.month, least(
            (c.created_at AT TIME ZONE 'UTC')::date, (c.month + interval '1 month - 1 day')::date)) AS day
    FROM calls c WHERE c.workspace = $1::uuid AND c.month = $2::date AND c.state IN ('settled', 'assumed_billed')
) AS mine
GROUP BY GROUPING SETS ((model), (purpose, reason), (day), (packed), ())"""
BY_MODEL, BY_WHY, BY_DAY, BY_PACKED, BY_NOTHING = 0b0111, 0b1011, 0b1101, 0b1110, 0b1111

# Shares are summed before anything is rounded; as floats, which are exact to the nanodollar up to nine millions of
# dollars. OFFSET 0: tasks are looked up by their ids, however many others there are; joined, all of them would be read
# for one month's.
KINDS: Final = """
SELECT t.kind, count(*), round(sum(shares.cost))::bigint FROM (
    SELECT ct.task_id, sum(c.cost::float8 / greatest(c.tasks, 1)) AS cost
    FROM calls c JOIN call_tasks ct ON ct.call_id = c.id
    WHERE c.workspace = $1::uuid AND c.month = $2::date AND c.state IN ('settled', 'assumed_billed')
    GROUP BY ct.task_id
) AS shares CROSS JOIN LATERAL (SELECT t.kind FROM tasks t WHERE t.id = shares.task_id OFFSET 0) t GROUP BY t.kind"""

# Ids are UUIDv7: a month is a range of them, and the index holds nothing but plans from the cache.
HITS: Final = """
SELECT (uuid_extract_timestamp(p.task_id) AT TIME ZONE 'UTC')::date, count(*)
FROM plans p JOIN tasks t ON t.id = p.task_id
WHERE p.source = 'cached' AND p.task_id >= $2::uuid AND p.task_id < $3::uuid AND t.workspace = $1::uuid GROUP BY 1"""

NAIVE: Final = """
SELECT coalesce(sum(baseline_cost) / nullif(sum(tasks), 0), 0)::bigint
FROM calls c WHERE c.workspace = $1::uuid AND c.purpose = 'analysis' AND c.reason = 'first' AND c.state = 'settled'
    AND c.month = (SELECT max(n.month) FROM calls n WHERE n.workspace = $1::uuid AND n.month <= $2::date
        AND n.purpose = 'analysis' AND n.reason = 'first' AND n.state = 'settled')"""

FORGET: Final = "SELECT forget_calls($1::interval, $2::int)"


class PostgresCosts:
    """`ports.Costs`."""

    def __init__(self, database: Database) -> None:
        """`database`: as any role."""
        self._database = database

    def month(self, workspace: UUID, month: str | None = None) -> MonthCosts:
        """See ports.Costs."""
        home = str(workspace)
        wanted = None if month is None else f"{month}-01"
        [[first, at, cap, reserved, spent]] = self._database.run(BUDGET, home, wanted)
        rows = self._database.run(CALLS, home, first)
        nothing = next((row for row in rows if row[0] == BY_NOTHING), None)
        # what was spent and has no calls any more was forgotten
        whole = CallSum(cost=int(spent), baseline=int(spent)) if nothing is None or nothing[6] == 0 else _sum(nothing)
        kinds = {kind: KindCost(tasks=tasks, cost=int(cost)) for kind, tasks, cost in self._kinds(home, first, whole)}
        left = whole.cost - sum(kind.cost for kind in kinds.values())
        hits = self._database.run(HITS, home, *_range(first))
        [[naive]] = self._database.run(NAIVE, home, first) if hits else [[0]]
        return MonthCosts(
            month=first[:7],
            at=datetime.fromisoformat(str(at)).astimezone(UTC),
            cap=cap,
            reserved=int(reserved),
            all=whole,
            levered=Saved() if whole.calls == 0 or nothing is None else _levers(nothing[19:]),
            packs=next((_sum(row) for row in rows if row[0] == BY_PACKED and row[5]), CallSum()),
            models={row[1]: _sum(row) for row in rows if row[0] == BY_MODEL},
            whys={(row[2], row[3]): _sum(row) for row in rows if row[0] == BY_WHY},
            days={_day(row[4]): _sum(row) for row in rows if row[0] == BY_DAY},
            kinds=_with_unstored(kinds, left),
            hits={_day(day): count for day, count in hits},
            naive_task=int(naive),
        )

    def forget(self, kept: timedelta, limit: int = 1000) -> int:
        """See ports.Costs."""
        [[gone]] = self._database.run(FORGET, f"{kept.total_seconds()} s", str(limit))
        return int(gone)

    def _kinds(self, home: str, first: str, whole: CallSum) -> list[Row]:
        return self._database.run(KINDS, home, first) if whole.calls else []


def _with_unstored(kinds: dict[str | None, KindCost], left: int) -> dict[str | None, KindCost]:
    """With what belongs to no stored task (previews); what rounding left over is nobody's."""
    if left <= len(kinds):
        return kinds
    unknown = kinds.get(None, KindCost(tasks=0, cost=0))
    return {**kinds, None: KindCost(tasks=unknown.tasks, cost=unknown.cost + left)}


def _sum(row: Row) -> CallSum:
    calls, tasks, given, output, read, written, cost, baseline = (int(value) for value in row[6:14])
    return CallSum(
        calls=calls,
        tasks=tasks,
        usage=Usage(input=given, output=output, cache_read=read, cache_write=written),
        cost=cost,
        baseline=baseline,
        saved=_levers(row[14:18]),
        disagreements=int(row[18]),
    )


def _levers(values: Row) -> Saved:
    model, prompt, pack, batch = (int(value) for value in values[:4])
    return Saved(model=model, prompt=prompt, pack=pack, batch=batch)


def _day(value: object) -> date:
    return date.fromisoformat(str(value))


def _range(first: str) -> tuple[str, str]:
    """The ids of a month: from its first millisecond up to the next month's."""
    start = date.fromisoformat(first)
    following = date(start.year + start.month // 12, start.month % 12 + 1, 1)
    return _least(start), _least(following)


def _least(day: date) -> str:
    """The least UUIDv7 of a day, less its version and variant: nothing of an earlier day is as high."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return str(UUID(int=int(at.timestamp() * 1000) << 80))
