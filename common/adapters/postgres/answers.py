"""Remembered answers, and who is asking for which: one row a key, an answer or a flight."""

# ruff: noqa: S608 - composed of constants of these modules; values are parameters

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import orjson

from common.adapters.postgres.connection import Database, Row
from common.adapters.postgres.documents import document, foreign, plain
from common.ports import Asking, Flight, Learned, Remembered, Use

REQUEST_KEPT: Final = 2000  # characters; only people look at it

COLUMNS: Final = """key, request, prompt_version, model, answer::text, cost, created_at, hit_at, hits, checks,
    disagreements"""
# a flight began when its row was made, or taken over
LOOK: Final = f"""
SELECT {COLUMNS}, extract(epoch FROM clock_timestamp() - created_at)::float8,
    extract(epoch FROM asked_until - clock_timestamp())::float8
FROM analysis_cache WHERE workspace = $1::uuid AND key = ANY ($2::text[])"""

WANTED: Final = """json_to_recordset($2::json) AS w(key text, request text, prompt_version text, model text,
    answer text, cost bigint)"""

# One INSERT wins; whoever comes second waits for its commit, then sees a flight that has not ended.
TAKE: Final = f"""
INSERT INTO analysis_cache AS c (workspace, key, request, prompt_version, model, asked_by, asked_until)
SELECT $1::uuid, w.key, w.request, w.prompt_version, w.model, $3,
    clock_timestamp() + $4::float8 * interval '1 s' FROM {WANTED} ORDER BY w.key
ON CONFLICT (workspace, key) DO UPDATE SET asked_by = excluded.asked_by, created_at = statement_timestamp(),
    hit_at = statement_timestamp(), asked_until = excluded.asked_until
WHERE c.answer IS NULL AND c.asked_until <= clock_timestamp() RETURNING c.key"""

STORE: Final = f"""
INSERT INTO analysis_cache AS c (workspace, key, request, prompt_version, model, answer, cost)
SELECT $1::uuid, w.key, w.request, w.prompt_version, w.model, w.answer::json, w.cost FROM {WANTED} ORDER BY w.key
ON CONFLICT (workspace, key) DO UPDATE SET request = excluded.request, answer = excluded.answer, cost = excluded.cost,
    asked_by = NULL, asked_until = NULL, created_at = statement_timestamp(), hit_at = statement_timestamp(), hits = 0,
    checks = 0, disagreements = 0
RETURNING 1"""

LET_GO: Final = """
DELETE FROM analysis_cache WHERE workspace = $1::uuid AND key = ANY ($2::text[]) AND answer IS NULL AND asked_by = $3
RETURNING 1"""

# Locked in one order: two processes that count the same keys never wait for each other in a ring.
COUNT: Final = """
WITH used AS (SELECT * FROM json_to_recordset($1::json) AS u(workspace uuid, key text, hits bigint, checks int,
    disagreements int)
), held AS MATERIALIZED (
    SELECT c.workspace, c.key, u.hits, u.checks, u.disagreements FROM analysis_cache c
    JOIN used u ON u.workspace = c.workspace AND u.key = c.key WHERE c.answer IS NOT NULL
    ORDER BY c.workspace, c.key FOR NO KEY UPDATE OF c
)
UPDATE analysis_cache c SET hit_at = clock_timestamp(), hits = c.hits + h.hits, checks = c.checks + h.checks,
    disagreements = c.disagreements + h.disagreements
FROM held h WHERE h.workspace = c.workspace AND h.key = c.key RETURNING 1"""

# `~` would read the beginning as a pattern; hex digits sort below `g`
LISTED: Final = f"""
SELECT {COLUMNS} FROM analysis_cache WHERE workspace = $1::uuid AND answer IS NOT NULL
    AND key >= $5 AND key < $5 || 'g' AND ($3::timestamptz IS NULL OR (hit_at, key) < ($3::timestamptz, $4))
ORDER BY hit_at DESC, key DESC LIMIT $2::int"""

DROP: Final = """
DELETE FROM analysis_cache WHERE workspace = $1::uuid AND ($2::text[] IS NULL OR key = ANY ($2::text[]))
RETURNING key"""

FORGET: Final = """
DELETE FROM analysis_cache WHERE (workspace, key) IN (
    SELECT workspace, key FROM analysis_cache WHERE hit_at <= clock_timestamp() - $1::float8 * interval '1 s'
    ORDER BY hit_at LIMIT $2::int FOR UPDATE SKIP LOCKED
) RETURNING 1"""


class PostgresAnswers:
    """`ports.Answers`."""

    def __init__(self, database: Database) -> None:
        """`database`: as `aiw_app`."""
        self._database = database

    def find(self, workspace: UUID, keys: Sequence[str]) -> dict[str, Remembered]:
        """See ports.Answers."""
        found = self._look(str(workspace), keys) if keys else {}
        return {key: row for key, row in found.items() if isinstance(row, Remembered)}

    def take(
        self, workspace: UUID, wanted: Sequence[Asking], by: str, lasts: timedelta
    ) -> dict[str, Remembered | Flight]:
        """See ports.Answers."""
        home = str(workspace)
        found = self._look(home, [asking.key for asking in wanted])
        # of a flight that is over nobody knows yet who is next
        open_ = [a for a in wanted if not _settled(found.get(a.key))]
        if not open_:
            return found
        rows = self._database.run(TAKE, home, _document(open_), by, str(lasts.total_seconds()))
        mine = {str(row[0]) for row in rows}
        found |= {key: Flight(mine=True, left=lasts) for key in mine}
        lost = [asking.key for asking in open_ if asking.key not in mine]
        if lost:  # a statement of its own: one that lost the race does not see the row that won it
            found |= self._look(home, lost)
        # let go, or dropped, between the two statements: whoever asks next will be the first
        return {a.key: found.get(a.key, Flight(mine=False)) for a in wanted}

    def _look(self, home: str, keys: Sequence[str]) -> dict[str, Remembered | Flight]:
        return {row[0]: _remembered(row) or _flight(row) for row in self._database.run(LOOK, home, _keys(keys))}

    def store(self, workspace: UUID, learned: Sequence[Learned]) -> None:
        """See ports.Answers."""
        if learned:
            self._database.run(STORE, str(workspace), _document(learned))

    def let_go(self, workspace: UUID, keys: Sequence[str], by: str) -> None:
        """See ports.Answers."""
        if keys:
            self._database.run(LET_GO, str(workspace), _keys(keys), by)

    def count(self, uses: Sequence[Use]) -> None:
        """See ports.Answers."""
        rows = [
            {
                "workspace": use.workspace,
                "key": use.key,
                "hits": use.hits,
                "checks": use.checks,
                "disagreements": use.disagreements,
            }
            for use in uses
        ]
        if rows:
            self._database.run(COUNT, document(rows))

    def listed(
        self, workspace: UUID, limit: int, after: tuple[datetime, str] | None = None, beginning: str = ""
    ) -> list[Remembered]:
        """See ports.Answers."""
        at, key = (None, None) if after is None else (after[0].isoformat(), after[1])
        rows = self._database.run(LISTED, str(workspace), str(limit), at, key, beginning)
        return [answer for row in rows if (answer := _remembered(row)) is not None]

    def drop(self, workspace: UUID, keys: Sequence[str] | None) -> list[str]:
        """See ports.Answers."""
        gone = self._database.run(DROP, str(workspace), None if keys is None else _keys(keys))
        return sorted(str(row[0]) for row in gone)

    def forget(self, unused_for: timedelta, limit: int = 1000) -> int:
        """See ports.Answers."""
        return len(self._database.run(FORGET, str(unused_for.total_seconds()), str(limit)))


def _settled(found: Remembered | Flight | None) -> bool:
    """Whether there is an answer, or somebody who still has time to bring one."""
    return isinstance(found, Remembered) or (found is not None and found.left > timedelta(0))


def _document(asking: Sequence[Asking]) -> str:
    rows: list[dict[str, object]] = []
    for one in asking:
        row: dict[str, object] = {
            "key": one.key,
            "request": plain(one.request[:REQUEST_KEPT]),
            "prompt_version": one.prompt_version,
            "model": one.model,
        }
        if isinstance(one, Learned):
            row |= {"answer": foreign(dict(one.answer)), "cost": one.cost}
        rows.append(row)
    return document(rows)


def _keys(keys: Sequence[str]) -> str:
    """As the text of a PostgreSQL array; what is no key matches nothing."""
    return "{" + ",".join(key for key in keys if key.isalnum()) + "}"


def _remembered(row: Row) -> Remembered | None:
    key, request, prompt_version, model, answer, cost, created_at, hit_at, hits, checks, disagreements, *_ = row
    if answer is None:
        return None
    return Remembered(
        key=key,
        request=request,
        prompt_version=prompt_version,
        model=model,
        answer=orjson.loads(answer),
        cost=cost,
        created_at=created_at,
        hit_at=hit_at,
        hits=hits,
        checks=checks,
        disagreements=disagreements,
    )


def _flight(row: Row) -> Flight:
    age, left = row[-2:]
    return Flight(mine=False, age=timedelta(seconds=age), left=timedelta(seconds=left))
